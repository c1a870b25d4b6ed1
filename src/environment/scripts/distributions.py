"""What errand asks of the Python of an environment: run by it, without any package, Python 3.6 or newer.

distributions.py verify REQUIREMENTS   prints what is missing, wrong or damaged; exit status 1 then
distributions.py has REQUIREMENTS      the same of all that this Python finds, wherever it lies (Debian's dist-packages, the user's own)
distributions.py sources SOURCES       makes the project's own directories importable
distributions.py suits SPECIFIER       exit status 0 when this Python's version fits
distributions.py platform -            what wheels run here: "python=3.11 implementation=cp machine=x86_64 libc=glibc-2.36"
"""
import glob
import os
import re
import sys

try:
    import sysconfig

    SITES = sorted({sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"]})
except Exception:
    SITES = [p for p in sys.path if p.endswith("site-packages")]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


PRE = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
VERSION = re.compile(
    r"^\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?"
    r"(?:(?:[-_.]?(post|rev|r)[-_.]?(\d*))|-(\d+))?(?:[-_.]?(dev)[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$",
    re.I,
)


def key(text, with_local=True):
    """A sort key as PEP 440 orders versions; None if it is not a version."""
    m = VERSION.match(text)
    if not m:
        return None
    release = [int(x) for x in m.group(2).split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    has_post = bool(m.group(5) or m.group(7))
    post = int(m.group(6) or m.group(7) or 0) if has_post else -1
    dev = int(m.group(9) or 0) if m.group(8) else None
    if m.group(3):
        pre = (PRE[m.group(3).lower()], int(m.group(4) or 0))
    else:
        pre = (-1, 0) if dev is not None and not has_post else (9, 0)
    local = ()
    if with_local and m.group(10):
        local = tuple((1, int(x), "") if x.isdigit() else (0, 0, x) for x in re.split(r"[-_.]", m.group(10).lower()))
    return (int(m.group(1) or 0), tuple(release), pre, post, (1, 0) if dev is None else (0, dev), local)


def release_of(text):
    m = VERSION.match(text)
    return [int(m.group(1) or 0)] + [int(x) for x in m.group(2).split(".")] if m else []


def fits(version, specifiers):
    """Does a version fit "==1.2,<3"? What cannot be read counts as fitting: the resolver has already decided."""
    for part in specifiers.split(","):
        m = re.match(r"^\s*(===|==|~=|!=|<=|>=|<|>)\s*(.+?)\s*$", part)
        if not m:
            continue
        op, wanted = m.groups()
        if op == "===":
            if version != wanted:
                return False
            continue
        if wanted.endswith(".*"):
            prefix = release_of(wanted[:-2])
            have = (release_of(version) + [0] * len(prefix))[: len(prefix)]
            if (have == prefix) != (op == "=="):
                return False
            continue
        have, want = key(version, "+" in wanted), key(wanted)
        if have is None or want is None:
            continue
        if op == "~=":
            prefix = release_of(wanted)[:-1]
            start = (release_of(version) + [0] * len(prefix))[: len(prefix)]
            good = have >= want and start == prefix
        else:
            good = {
                "==": have == want, "!=": have != want, "<=": have <= want, ">=": have >= want,
                "<": have < want, ">": have > want,
            }[op]
        if not good:
            return False
    return True


def marker_holds(marker):
    import platform

    values = {
        "python_version": "%d.%d" % sys.version_info[:2],
        "python_full_version": platform.python_version(),
        "os_name": os.name,
        "sys_platform": sys.platform,
        "platform_machine": platform.machine(),
        "platform_system": platform.system(),
        "platform_release": platform.release(),
        "platform_version": platform.version(),
        "platform_python_implementation": platform.python_implementation(),
        "implementation_name": sys.implementation.name,
        "implementation_version": platform.python_version(),
        "extra": "",
    }
    token = re.compile(r"""\s*(\(|\)|and\b|or\b|not\s+in\b|in\b|===|==|~=|!=|<=|>=|<|>|'[^']*'|"[^"]*"|[a-z_.]+)""")
    tokens, pos = [], 0
    while pos < len(marker.rstrip()):
        m = token.match(marker, pos)
        if not m:
            return True
        tokens.append(m.group(1))
        pos = m.end()
    tokens.append("")

    def value(text):
        return text[1:-1] if text[:1] in "'\"" else values.get(text.replace(".", "_"), "")

    def compare(left, op, right):
        if op == "in":
            return left in right
        if op.startswith("not"):
            return left not in right
        if key(left) is not None and key(right.replace(".*", "")) is not None:
            return fits(left, op + right)
        return {"==": left == right, "!=": left != right, "<": left < right, ">": left > right,
                "<=": left <= right, ">=": left >= right}.get(op, True)

    def atom():
        if tokens[0] == "(":
            tokens.pop(0)
            result = either()
            tokens.pop(0)
            return result
        left, op, right = tokens.pop(0), tokens.pop(0), tokens.pop(0)
        return compare(value(left), op, value(right))

    def both():
        result = atom()
        while tokens[0] == "and":
            tokens.pop(0)
            result = atom() and result
        return result

    def either():
        result = both()
        while tokens[0] == "or":
            tokens.pop(0)
            result = both() or result
        return result

    try:
        return either()
    except IndexError:
        return True


def installed():
    found = {}
    for site in SITES:
        for path in glob.glob(os.path.join(glob.escape(site), "*.dist-info")) + glob.glob(os.path.join(glob.escape(site), "*.egg-info")):
            meta = os.path.join(path, "METADATA" if path.endswith(".dist-info") else "PKG-INFO")
            name = version = None
            try:
                with open(meta if os.path.isdir(path) else path, encoding="utf-8", errors="replace") as f:
                    for line in f:
                        if not line.strip():
                            break
                        if line.lower().startswith("name:"):
                            name = line[5:].strip()
                        elif line.lower().startswith("version:"):
                            version = line[8:].strip()
            except OSError:
                continue
            if name and version:
                found[canonical(name)] = (version, path)
    return found


def lost_file(path):
    """A file that the distribution installed and that is gone, or None."""
    try:
        with open(os.path.join(path, "RECORD"), encoding="utf-8", errors="replace") as f:
            for line in f:
                name = line[1:].split('"')[0] if line.startswith('"') else line.split(",")[0]
                if name and not name.endswith(".pyc") and not os.path.lexists(os.path.join(os.path.dirname(path), name)):
                    return name
    except OSError:
        pass
    return None


def verify(file, ours=True):
    have, bad = installed(), []
    with open(file, encoding="utf-8") as f:
        lines = [line.strip() for line in f]
    for line in lines:
        if not line or line.startswith(("-", "#")):
            continue
        line = re.split(r"\s--|\s*\\$", line)[0]
        line, _, marker = line.partition(" ; ")
        if marker and not marker_holds(marker):
            continue
        m = re.match(r"^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(@.*|[=<>~!].*)?$", line)
        specifiers = ""
        if line.startswith("${ERRAND_FILES}/"):
            base = line.split("/", 1)[1].split("[")[0]
            name, _, rest = base.partition("-")
            if base.endswith(".whl"):
                specifiers = "==" + rest.split("-")[0]
            else:
                name = re.sub(r"-v?\d.*$", "", base)
        elif m:
            name, specifiers = m.group(1), m.group(2) or ""
        else:
            m = re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", line) or re.search(r"/([^/@#]+?)(?:\.git)?(?:@[^/]*)?(?:#.*)?$", line)
            # The name of a repository is only a guess at the name of what it makes.
            if not m or (canonical(m.group(1)) not in have and "egg=" not in line):
                continue
            name = m.group(1)
        entry = have.get(canonical(name))
        if entry is None:
            bad.append("%s is not installed" % name)
        elif not specifiers.startswith("@") and not fits(entry[0], specifiers):
            bad.append("%s is there in version %s, not %s" % (name, entry[0], specifiers))
        else:
            lost = ours and lost_file(entry[1])  # system packages move files and leave RECORD as it was
            if lost:
                bad.append("%s is damaged: %s is gone" % (name, lost))
    for line in bad:
        print(line)
    return 1 if bad else 0


def sources(file):
    with open(file, encoding="utf-8") as f:
        names = [line.rstrip("\n") for line in f if line.strip()]
    # Run by every start of Python, so it imports nothing that is not there already. The attempt's own copy of the project
    # is where ERRAND_WORK says; without it, the directory that the job was started in tells.
    module = """import os
import sys


def _work():
    work = os.environ.get("ERRAND_WORK")
    if work:
        return work
    try:
        parts = os.getcwd().split("/")
    except OSError:
        return None
    for i in range(len(parts) - 3):
        if parts[i] == "jobs" and parts[i + 3] == "work":
            return "/".join(parts[: i + 4])
    return None


_root = _work()
if _root:
    for _name in %r:
        _path = os.path.normpath(os.path.join(_root, _name))
        if _path not in sys.path:
            sys.path.append(_path)
""" % (names,)
    with open(os.path.join(SITES[0], "errand_project.py"), "w", encoding="utf-8") as f:
        f.write(module)
    with open(os.path.join(SITES[0], "errand_project.pth"), "w", encoding="utf-8") as f:
        f.write("import errand_project\n")
    commands = os.path.join(os.path.dirname(file), "commands.txt")
    if os.path.exists(commands):
        with open(commands, encoding="utf-8") as f:
            for line in f:
                write_command(*line.rstrip("\n").split("=", 1))
    return 0


def write_command(name, target):
    """bin/NAME, as an editable installation would make it."""
    module, function = target.split(":")
    path = os.path.join(os.path.dirname(sys.executable), name)
    if os.path.lexists(path):
        return
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!%s\nimport sys\nfrom %s import %s\nsys.exit(%s())\n" % (sys.executable, module, function.split(".")[0], function))
    os.chmod(path, 0o755)


def show_platform():
    import platform

    libc, version = platform.libc_ver()
    if not libc:
        # Python knows only glibc by its name.
        found = glob.glob("/lib/ld-musl-*.so.1")
        libc, version = ("musl", "1.2") if found else ("glibc", "2.17")
    python, name = "%d.%d" % sys.version_info[:2], {"cpython": "cp", "pypy": "pp"}.get(sys.implementation.name, "py")
    print("python=%s implementation=%s machine=%s libc=%s-%s" % (python, name, platform.machine(), libc, version))
    return 0


def main():
    command, argument = sys.argv[1], sys.argv[2]
    if command == "has":
        SITES[:] = [path for path in sys.path[1:] if os.path.isdir(path)]
        return verify(argument, ours=False)
    if command == "verify":
        return verify(argument)
    if command == "sources":
        return sources(argument)
    if command == "platform":
        return show_platform()
    wanted = argument if re.match(r"^[<>=!~]", argument) else "==%s.*" % argument if argument.count(".") < 2 else "==" + argument
    return 0 if fits("%d.%d.%d" % sys.version_info[:3], wanted) else 1


sys.exit(main())
