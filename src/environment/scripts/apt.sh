# apt.sh - packages of the system: $ERRAND_FILES/apt.txt, one "name" or "name=version" a line.

# Is it there, in that version? A name may also be one that an installed package provides.
apt_there() {
        apt_name=${1%%=*}
        apt_want=
        case $1 in *=*) apt_want=${1#*=} ;; esac
        apt_state=$(dpkg-query -W -f='${db:Status-Status} ${Version}\n' "$apt_name" 2>/dev/null | grep '^installed ' | sed -n '1p')
        if [ -n "$apt_state" ]; then
                [ -z "$apt_want" ] && return 0
                # shellcheck disable=SC2254 # "7:4.*" is a pattern for apt too
                case ${apt_state#installed } in $apt_want) return 0 ;; esac
                return 1
        fi
        [ -z "$apt_want" ] && dpkg-query -W -f='${db:Status-Status} ${Provides}\n' 2>/dev/null | grep '^installed ' |
                sed 's/^installed//; s/([^)]*)//g; s/,/ /g; s/$/ /' | grep -q -F " ${apt_name%%:*} "
}

apt_missing() {
        while IFS= read -r package; do
                [ -n "$package" ] || continue
                if have dpkg-query; then
                        apt_there "$package" || printf '%s\n' "$package"
                else
                        # Another system: a program of that name will do.
                        have "${package%%=*}" || printf '%s\n' "$package"
                fi
        done <"$ERRAND_FILES/apt.txt"
}

apt_words() {
        printf '%s\n' "$1" | tr '\n' ' ' | sed 's/ *$//'
}

apt_explain() {
        fail_for_all
        apt_name=$(sed -n 's/^E: Unable to locate package //p' "$OUT" | sed -n '1p')
        if [ -n "$apt_name" ]; then
                apt_near=$(apt-cache pkgnames "$(printf '%.4s' "$apt_name")" 2>/dev/null | sort | head -n 5 | tr '\n' ' ')
                fail package "$(said 'Unable to locate package')" "${apt_near:+the nearest names: $apt_near}"
        fi
        if says 'was not found$'; then
                apt_name=$(sed -n "s/^E: Version '.*' for '\(.*\)' was not found/\1/p" "$OUT" | sed -n '1p')
                apt_near=$(apt-cache madison "$apt_name" 2>/dev/null | cut -d '|' -f 2 | tr -d ' ' | sort -u | tr '\n' ' ')
                fail package "$(said 'was not found$')" "${apt_near:+the versions that can be had: $apt_near}"
        fi
        if says 'has no installation candidate'; then
                apt_near=$(sed -n '/is a virtual package provided by/,/^[^ ]*$/s/^  \([a-z0-9][^ ]*\) .*/\1/p' "$OUT" | head -n 5 | tr '\n' ' ')
                fail package "$(said 'has no installation candidate')" "${apt_near:+several packages provide it; choose one: $apt_near}"
        fi
        if says 'unmet dependencies\|held broken packages'; then
                fail conflict "$(said 'Depends:\|Conflicts:\|Breaks:\|held broken packages')"
        fi
        if looks_like_network || says 'failed to fetch'; then
                fail network "apt cannot download: $(said 'Failed to fetch\|Could not resolve\|Cannot initiate\|Could not connect')"
        fi
        apt_name=$(sed -n 's/^dpkg: error processing package \([^ ]*\) .*/\1/p' "$OUT" | sed -n '1p')
        if [ -n "$apt_name" ]; then
                fail package "$apt_name: $(sed -n '/^dpkg: error processing package/{n;s/^ *//p;q;}' "$OUT")"
        fi
        fail package "apt-get: $(said '^E: ' || last_words)"
}

# apt_get ARGS...: waits for the locks if others hold them, at most ten minutes.
apt_get() {
        apt_tries=0
        while :; do
                # shellcheck disable=SC2086 # $apt_sudo is a word or two
                run $apt_sudo env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C apt-get -y -q \
                        -o DPkg::Lock::Timeout=600 -o Acquire::Retries=2 -o Dpkg::Use-Pty=0 "$@" && return 0
                says 'could not get lock\|unable to lock\|is another process using it' || return 1
                apt_tries=$((apt_tries + 1))
                [ "$apt_tries" -lt 120 ] || return 1
                [ "$apt_tries" -gt 1 ] || tell progress "waiting for another apt on this host"
                sleep 5
        done
}

apt_build() {
        apt_list=$(apt_missing)
        [ -n "$apt_list" ] || return 0
        apt_all=$(apt_words "$apt_list")
        if ! have apt-get; then
                fail tool "this host has no apt: $apt_all cannot be installed" \
                        "install their programs by hand; a program of that name in PATH is enough"
        fi
        apt_sudo=
        if [ "$(id -u)" -ne 0 ]; then
                if ! have sudo || ! sudo -n true 2>/dev/null; then
                        fail tool "missing on this host: $apt_all (apt needs root, and there is no sudo without a password)" \
                                "ask for: sudo apt-get install $apt_all"
                fi
                apt_sudo="sudo -n"
        fi
        tell progress "apt: installing $(plural "$(printf '%s\n' "$apt_list" | grep -c .)" package)"
        # Lists less than a day old are fresh enough; without any, the install below could not even begin.
        if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -mtime -1 2>/dev/null | sed -n '1p')" ]; then
                apt_get update || apt_stale=$(last_words)
        fi
        # shellcheck disable=SC2086 # names of packages have no white space
        if ! apt_get install --no-install-recommends $apt_list; then
                says 'no space left' && apt_explain
                # The lists may be older than what the servers have now.
                apt_get update || apt_stale=$(last_words)
                # shellcheck disable=SC2086
                apt_get install --no-install-recommends $apt_list || apt_explain
        fi
        [ -z "${apt_stale-}" ] || note "apt-get update failed: $apt_stale"
        apt_check
}

apt_check() {
        apt_list=$(apt_missing)
        [ -z "$apt_list" ] || fail package "not installed in the version asked for: $(apt_words "$apt_list")"
}
