"""apt: the system's own apt and dpkg, with a package source of the test's own and a database of the host's own."""
from envkit import places
from envkit.fixtures import apt_host, plain_host, source  # noqa: F401
from envkit.jobs import declare, failed, ready, run


def test_packages_are_installed_once(errand, apt_host, source):
    source.package("errand-lib", "2.0")
    source.package("errand-hello", "1.5", depends="errand-lib")
    declare(errand, apt=["errand-hello"])
    assert run(errand, apt_host, "errand-hello").ok().text == "errand-hello 1.5\n"
    assert apt_host.sh("dpkg-query -W -f '${Version}' errand-lib") == "2.0"
    assert len(ready(apt_host)) == 1
    run(errand, apt_host, "errand-hello").ok()


def test_a_version_asked_for(errand, apt_host, source):
    source.package("errand-hello", "1.5")
    source.package("errand-hello", "2.0")
    declare(errand, apt=["errand-hello=1.5"])
    assert run(errand, apt_host, "errand-hello").ok().text == "errand-hello 1.5\n"


def test_what_is_there_needs_no_root(errand, plain_host):
    declare(errand, apt=["coreutils", "dpkg"])
    assert run(errand, plain_host, "id", "-un").ok().text.strip() == places.USER


def test_without_root_what_is_missing_is_said(errand, plain_host):
    declare(errand, apt=["coreutils", "errand-not-there"])
    places.without(plain_host, "sudo")
    done = run(errand, plain_host, "true")
    row = failed(done, errand, "errand-not-there")
    assert "coreutils" not in row["detail"].splitlines()[0]


def test_a_package_that_does_not_exist(errand, apt_host, source):
    source.package("errand-hello", "1.5")
    declare(errand, apt=["errand-helo"])
    done = run(errand, apt_host, "true")
    failed(done, errand, "errand-helo")
    assert "errand-hello" in done.said, "the near name"


def test_a_package_whose_installation_fails(errand, apt_host, source):
    source.package("errand-bad", "1.0", postinst="echo the postinst of errand-bad is broken >&2\nexit 1\n")
    declare(errand, apt=["errand-bad"])
    failed(run(errand, apt_host, "true"), errand, "errand-bad")
    log = errand("logs", errand.job()["job"])
    assert "the postinst of errand-bad is broken" in log.text + log.said
    assert ready(apt_host) == []
