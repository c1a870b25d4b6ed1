# pip_explain.sh - what pip and uv say when something fails, in words for a user.

# The index has no package of that name, as far as we can see: with the wrong credentials, an index shows nothing.
pip_no_such() {
        pip_hint=$(pip_near "$1")
        if [ $? -eq 3 ]; then
                fail package "the package index denies this host access (asked for $1)" "check the user and the password in index_url"
        fi
        fail package "$1: there is no such package in the index" "$pip_hint"
}

# Of what a failed build said (stdin), the line that says why: a compiler's fatal error, else the last error, else the last.
pip_reason() {
        pip_lines=$(sed 's/^[│ ]*//; s/[[:space:]]*$//' | grep '[^[:space:]]' | grep -v '^\(hint\|note\): \|of output\]$\|^\[stderr\]\|^\[stdout\]')
        pip_why=$(printf '%s\n' "$pip_lines" | grep -m 1 'fatal error: ')
        [ -n "$pip_why" ] || pip_why=$(printf '%s\n' "$pip_lines" | grep '^[A-Za-z_][A-Za-z0-9_.]*\(Error\|Exception\|Exit\)\(:\|$\)\|[Ee]rror: ' | tail -n 1)
        [ -n "$pip_why" ] || pip_why=$(printf '%s\n' "$pip_lines" | tail -n 1)
        printf '%s' "$pip_why"
}

pip_explain() {
        fail_for_all
        if says 'client error (40[13] \|40[13] Client Error\|HTTP error 40[13] '; then
                fail package "the server of a package denies this host access: $(said '40[13] ')" "check the user and the password in its address"
        fi
        pip_name=
        # uv
        pip_text=$(tr '\n' ' ' <"$OUT" | sed 's/[│╰─▶├]//g; s/   */ /g')
        case $pip_text in
        *" was not found in the package registry"*)
                pip_name=$(printf '%s' "$pip_text" | sed 's/ was not found in the package registry.*//; s/.*[ (]//')
                looks_like_network || pip_no_such "$pip_name"
                ;;
        *"were not found in the provided package locations"* | *"was not found in the provided package locations"*)
                pip_name=$(printf '%s' "$pip_text" | sed 's/ was not found in the provided package locations.*//; s/.*[ (]//')
                pip_want_sent "$pip_name"
                fail package "$pip_name: not among the packages that were sent"
                ;;
        esac
        # pip
        pip_name=$(sed -n 's/^ERROR: No matching distribution found for \([^ ]*\).*/\1/p' "$OUT" | sed -n '1p')
        if [ -n "$pip_name" ] && ! looks_like_network; then
                pip_want_sent "$pip_name"
                pip_versions=$(sed -n 's/^ERROR: Could not find a version that satisfies.*(from versions: \(.*\))$/\1/p' "$OUT" | sed -n '1p')
                if [ -n "$pip_versions" ] && [ "$pip_versions" != none ]; then
                        fail package "$pip_name: there is no such version" "the index has $pip_versions"
                fi
                pip_no_such "$(printf '%s' "$pip_name" | sed 's/[^A-Za-z0-9._-].*//')"
        fi
        if says 'ResolutionImpossible\|conflicting dependencies'; then
                pip_text=$(sed -n '/^The conflict is caused by:/,/^$/p' "$OUT" | sed '1d; s/^ *//' | tr '\n' ';' | sed 's/;*$//; s/;/; /g')
                fail conflict "${pip_text:-$(said 'conflicting dependencies')}" "loosen one of the two"
        fi
        if says 'no solution found'; then
                pip_text=$(sed -n '/No solution found/,/^$/p' "$OUT" | sed '1d' | tr '\n' ' ' | sed 's/[│╰─▶├]//g; s/   */ /g; s/^ *//; s/ *$//; s/^cause: //')
                pip_text=${pip_text#Because }
                case $pip_text in
                *"there is no version of "*)
                        pip_name=$(printf '%s' "$pip_text" | sed 's/.*there is no version of \([^ ,]*\).*/\1/')
                        fail package "$pip_name: there is no such version in the index"
                        ;;
                esac
                if looks_like_network; then
                        pip_offline
                fi
                # The two sides without the conclusions.
                pip_text=$(printf '%s' "$pip_text" | sed 's/, we can conclude that .*\. And because /; and /; s/, we can conclude that .*//')
                case $pip_text in
                *" depends on "* | *" depend on "*) fail conflict "$pip_text" "loosen one of the two" ;;
                esac
                fail package "$pip_text"
        fi
        if says 'no interpreter found\|failed to discover python'; then
                pip_no_python
        fi
        if says 'hash mismatch'; then
                fail package "$(said 'Hash mismatch' | tr -d '`'): the index has a different file from the one declared"
        fi
        if says 'do not match the hashes'; then
                pip_text=$(sed -n 's/^ *\([^ ]*\) from .*/\1/p' "$OUT" | tail -n 1)
                fail package "Hash mismatch for ${pip_text:-a package}: the index has a different file from the one declared"
        fi
        if says 'git operation failed\|git clone\|git fetch\|failed to clone'; then
                pip_text=$(said 'fatal: ')
                [ -n "$pip_text" ] || pip_text=$(said 'cannot find command .git\|git executable not found\|failed to clone\|failed to fetch')
                if looks_like_network; then
                        fail network "git: ${pip_text:-$(last_words)}"
                fi
                fail package "git: ${pip_text:-$(last_words)}" "$(pip_build_hint)"
        fi
        if looks_like_network; then
                pip_offline
        fi
        # A package that failed to build: with its own last message.
        if says '^[^A-Za-z]*\(error: \)*Failed to build .'; then
                pip_text=$(sed -n '/\[stderr\]/,/^ *hint: /p' "$OUT" | pip_reason)
                pip_name=$(said 'Failed to build .' | sed 's/^[^A-Za-z]*//' | tr -d '`')
                fail package "$pip_name${pip_text:+: $pip_text}" "$(pip_build_hint)"
        fi
        if says 'subprocess-exited-with-error\|Failed building wheel'; then
                pip_text=$(sed -n '/lines* of output\]/,/\[end of output\]/p' "$OUT" | pip_reason)
                pip_name=$(sed -n 's/^Collecting \([^ ]*\).*/\1/p; s/^Processing .*\/\([^ ]*\).*/\1/p' "$OUT" | tail -n 1)
                fail package "Failed to build $pip_name${pip_text:+: $pip_text}" "$(pip_build_hint)"
        fi
        pip_text=$(said 'Failed to build\|Failed building wheel\|Failed to download\|hash mismatch\|HASHES\|^error:\|^ERROR:\|Failed to ')
        fail package "${pip_text:-$(last_words)}" "$(pip_build_hint)"
}

pip_build_hint() {
        if says 'gcc.*not found\|command .*cc.* failed\|no such file or directory: .*cc\|unable to execute'; then
                printf 'it has to be compiled, and a compiler or header is missing: apt: [build-essential, python3-dev]'
        elif says 'git.*not found\|cannot find command .git\|git executable not found'; then
                printf 'git is missing on the host: apt: [git]'
        fi
}

# Describes this host, for the machine that downloads instead.
pip_say_platform() {
        [ "$(setting fetch)" != host ] || return 0
        for pip_path in "$(pip_python_of_env)" "$PYTHON"; do
                pip_platform=$("$pip_path" -I "$ERRAND_FILES/distributions.py" platform - 2>/dev/null) && break
        done
        if [ -n "$pip_platform" ]; then
                tell platform "$pip_platform uv=$([ -n "$UV" ] && echo yes || echo no)"
        fi
}

# Nothing has been downloaded for this host yet: that takes a description of it.
pip_want_sent() {
        if fetched_here && [ ! -f "$ERRAND_FILES/fetched.txt" ]; then
                pip_say_platform
                fail network "the packages have not been sent yet: $1" "fetch: here downloads them on your machine; it needs pip or uv there"
        fi
}

pip_offline() {
        pip_text=$(said 'Failed to fetch\|Failed to download\|Caused by: .*dns\|Caused by: .*onnect\|NewConnectionError\|name resolution\|timed out\|refused\|esolve\|certificate')
        case $pip_text in
        *NewConnectionError*) pip_text=$(printf '%s' "$pip_text" | sed "s/.*NewConnectionError(.*>: \(.*\)')': .*/\1/") ;;
        esac
        pip_say_platform
        fail network "this host cannot reach the package index: ${pip_text:-$(last_words)}" \
                "fetch: here downloads the packages on your machine and sends them"
}

pip_no_python() {
        pip_want=$(setting python)
        [ -n "$pip_want" ] || pip_want=$(setting requires_python)
        fail tool "no Python${pip_want:+ $pip_want} on this host, and uv could not install one: $(said '[Nn]o interpreter\|[Ff]ailed\|error' || last_words)" \
                "install one on the host, for instance apt: [python3, python3-venv]"
}

# Names close to one that the index does not know: from the list of a small index, else from well-known names.
pip_near() {
        [ -n "$PYTHON" ] || PYTHON=$(command -v python3 2>/dev/null)
        [ -n "$PYTHON" ] || return 0
        filled_in "$(setting index_url)"
        PIP_INDEX=${FILLED_IN:-${UV_DEFAULT_INDEX-}} "$PYTHON" "$ERRAND_FILES/near.py" "$1" 2>/dev/null
}
