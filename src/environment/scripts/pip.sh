# pip.sh - Python packages: $ERRAND_FILES/requirements.txt and constraints.txt, into $ERRAND_PREFIX/venv (or into the
# conda prefix, when there is one). With uv where it can be had, else with venv and pip.

# Where this host's own pip would look, since uv does not read pip's configuration. Credentials may be in it: it goes
# through the environment, not through arguments.
pip_config() {
        for pip_file in ${PIP_CONFIG_FILE:+"$PIP_CONFIG_FILE"} "$HOME/.config/pip/pip.conf" "$HOME/.pip/pip.conf" /etc/xdg/pip/pip.conf /etc/pip.conf; do
                [ -r "$pip_file" ] || continue
                pip_value=$(sed -n "s/^[[:space:]]*$1[[:space:]]*[=:][[:space:]]*//p" "$pip_file" | sed -n '1p')
                if [ -n "$pip_value" ]; then
                        printf '%s' "$pip_value"
                        return
                fi
        done
}

pip_host_index() {
        [ -z "$(setting index_url)" ] || return 0
        pip_url=${PIP_INDEX_URL:-$(pip_config index-url)}
        if [ -n "$pip_url" ] && [ -z "${UV_DEFAULT_INDEX-}${UV_INDEX_URL-}" ]; then
                UV_DEFAULT_INDEX=$pip_url
                export UV_DEFAULT_INDEX
        fi
        pip_url=${PIP_EXTRA_INDEX_URL:-$(pip_config extra-index-url)}
        if [ -n "$pip_url" ] && [ -z "${UV_INDEX-}${UV_EXTRA_INDEX_URL-}" ]; then
                UV_INDEX=$pip_url
                export UV_INDEX
        fi
        pip_url=${PIP_CERT:-$(pip_config cert)}
        if [ -n "$pip_url" ] && [ -z "${SSL_CERT_FILE-}" ]; then
                SSL_CERT_FILE=$pip_url
                export SSL_CERT_FILE
        fi
}

pip_has_index() {
        [ -n "$(setting index_url)$(setting extra_index_url)${UV_DEFAULT_INDEX-}${UV_INDEX_URL-}${UV_INDEX-}${UV_EXTRA_INDEX_URL-}" ]
}

# A Python of this host that suits: sets PYTHON.
pip_find_python() {
        pip_want=$(setting python)
        [ -n "$pip_want" ] || pip_want=$(setting requires_python)
        PYTHON=
        for pip_name in "python$pip_want" python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python; do
                case $pip_name in *[!a-z0-9.]*) continue ;; esac
                pip_path=$(command -v "$pip_name" 2>/dev/null) || continue
                # pyenv's stand-ins are there without their Python
                "$pip_path" -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1 || continue
                if [ -z "$pip_want" ] || "$pip_path" "$ERRAND_FILES/distributions.py" suits "$pip_want" >/dev/null 2>&1; then
                        PYTHON=$pip_path
                        return 0
                fi
        done
        return 1
}

# Sets UV to a uv that runs, or to nothing.
pip_find_uv() {
        UV=
        if [ "${ERRAND_UV-}" = none ]; then
                return 1
        fi
        for pip_path in "${ERRAND_UV-}" "$(command -v uv 2>/dev/null)" "$HOME/.local/bin/uv" "$HOME/.cargo/bin/uv" "$ERRAND_TOOLS/bin/uv"; do
                if [ -n "$pip_path" ] && [ -x "$pip_path" ] && "$pip_path" --version >/dev/null 2>&1; then
                        UV=$pip_path
                        return 0
                fi
        done
        return 1
}

pip_keep_uv() {
        [ -f "$1" ] || return 1
        mkdir -p "$ERRAND_TOOLS/bin" || return 1
        chmod 755 "$1"
        # A program of another C library or architecture does not start.
        "$1" --version >/dev/null 2>&1 || return 1
        # By a rename: another build may be starting the one that is there.
        mv -f "$1" "$ERRAND_TOOLS/bin/uv" && UV=$ERRAND_TOOLS/bin/uv
}

# Gets uv into $ERRAND_TOOLS/bin: from a wheel that was sent, with the host's pip, or with its own installer.
pip_get_uv() {
        [ "${ERRAND_UV-}" != none ] || return 1
        pip_new=$ERRAND_TOOLS/uv.$$
        mkdir -p "$ERRAND_TOOLS" && rm -rf "$pip_new"
        for pip_wheel in "$ERRAND_FILES"/uv-*.whl; do
                [ -f "$pip_wheel" ] && mkdir -p "$pip_new" || continue
                if [ -n "$PYTHON" ]; then
                        "$PYTHON" -m zipfile -e "$pip_wheel" "$pip_new"
                elif have unzip; then
                        unzip -q -o "$pip_wheel" -d "$pip_new"
                fi
                pip_keep_uv "$(find "$pip_new" -type f -name uv 2>/dev/null | sed -n '1p')" && break
        done
        if [ -z "$UV" ] && ! fetched_here; then
                tell progress "getting uv"
                if [ -n "$PYTHON" ] && "$PYTHON" -m pip --version >/dev/null 2>&1; then
                        # The index that was named, and no other; else the one that this host's pip is set up with. Through
                        # the environment: a URL may hold a password.
                        (
                                pip_url=$(setting index_url)
                                if [ -n "$pip_url" ]; then
                                        filled_in "$pip_url"
                                        PIP_INDEX_URL=$FILLED_IN
                                        export PIP_INDEX_URL
                                fi
                                PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore run "$PYTHON" -m pip install -q --no-deps --only-binary :all: \
                                        --disable-pip-version-check --retries 1 --timeout 10 --target "$pip_new" uv
                        ) && pip_keep_uv "$pip_new/bin/uv"
                fi
                if [ -z "$UV$(setting index_url)" ] && { have curl || have wget; }; then
                        mkdir -p "$pip_new/bin"
                        if run download https://astral.sh/uv/install.sh "$pip_new/install.sh"; then
                                UV_UNMANAGED_INSTALL=$pip_new/bin UV_NO_MODIFY_PATH=1 run sh "$pip_new/install.sh" -q
                                pip_keep_uv "$pip_new/bin/uv"
                        fi
                fi
        fi
        rm -rf "$pip_new"
        [ -n "$UV" ]
}

# A requirement of a repository, in $PIP_LINE: without its password, which both tools would put into arguments of git's. Git
# asks a helper of ours for it, which stands in place of the user's own ones: they might keep it. (GIT_CONFIG_PARAMETERS is how
# git hands on what its -c says, in all its versions.)
pip_hide_git() {
        PIP_LINE=$1
        pip_head=${1%%git+http*}
        pip_url=${1#"$pip_head"}
        pip_url=${pip_url%%[[:space:]]*}
        split_url "${pip_url#git+}" || return 0
        case $URL_PLAIN in *["'="]*) return 0 ;; esac # no key of a configuration
        PIP_LINE=${pip_head}git+$URL_PLAIN${1#"$pip_head$pip_url"}
        pip_gits=$((${pip_gits:-0} + 1))
        export "ERRAND_GIT_USER_$pip_gits=$URL_USER" "ERRAND_GIT_PASSWORD_$pip_gits=$URL_PASSWORD"
        pip_helper="!f() { test \"\$1\" != get || printf \"username=%s\\npassword=%s\\n\" \"\$ERRAND_GIT_USER_$pip_gits\" \"\$ERRAND_GIT_PASSWORD_$pip_gits\"; }; f"
        # Submodules take what the first of their host has.
        pip_place=${URL_PLAIN%%://*}://$URL_HOST
        case ${GIT_CONFIG_PARAMETERS-} in *"'credential.$pip_place.helper="*) ;; *) pip_add_helper "$pip_place" ;; esac
        pip_place=${URL_PLAIN%%[#?]*}
        pip_add_helper "${pip_place%@*}" # without the branch
}

pip_add_helper() {
        # shellcheck disable=SC2089 # git reads the quotes
        GIT_CONFIG_PARAMETERS="${GIT_CONFIG_PARAMETERS:+$GIT_CONFIG_PARAMETERS }'credential.$1.helper=' 'credential.$1.helper=$pip_helper'"
        # shellcheck disable=SC2090
        export GIT_CONFIG_PARAMETERS
}

# Where packages come from: the urls of the setting $1 as lines of requirements, behind the word $2.
pip_write_places() {
        while IFS= read -r pip_url; do
                [ -n "$pip_url" ] || continue
                [ -z "${pip_netrc-}" ] || pip_hide_place "$pip_url"
                printf '%s %s\n' "$2" "$pip_url"
        done <<PLACES
$(settings "$1")
PLACES
}

# Pip puts indexes into the arguments of the pip that it starts for what a build needs: $pip_url without its password, where the
# file $pip_netrc can say it. A host can have one there (those in $pip_twice have more), and what would need quotes is not read
# alike by all Pythons.
pip_hide_place() {
        split_url "$1" && [ -n "$URL_USER" ] && [ -n "$URL_PASSWORD" ] || return 0
        pip_entry="machine ${URL_HOST%:*} login $URL_USER password $URL_PASSWORD"
        # shellcheck disable=SC1003 # a backslash
        case $pip_entry in *'"'* | *'\'* | *'#'* | *'['* | *[!\ -~]* | *' '*' '*' '*' '*' '*' '*) pip_twice="$pip_twice ${URL_HOST%:*} " ;; esac
        while IFS= read -r pip_line; do
                case $pip_line in
                "$pip_entry") pip_entry= ;;
                "machine ${URL_HOST%:*} "*) pip_twice="$pip_twice ${URL_HOST%:*} " ;;
                esac
        done <"$pip_netrc"
        case $pip_twice in *" ${URL_HOST%:*} "*) return 0 ;; esac
        [ -z "$pip_entry" ] || printf '%s\n' "$pip_entry" >>"$pip_netrc"
        pip_url=$URL_PLAIN
}

# Requirements for a host that is sent what is at their addresses: by their names, and where there is none, all that was sent.
pip_without_addresses() {
        sed '/^git+/d; /^https\{0,1\}:/d; s/^\([A-Za-z0-9][A-Za-z0-9._-]*\(\[[^]]*\]\)\{0,1\}\) *@ *\(git+\|https\{0,1\}:\)[^ ;]*/\1/' "$1"
        grep -q '^git+\|^https\{0,1\}:' "$1" || return 0
        for pip_file in "$ERRAND_FILES"/*.whl; do
                # shellcheck disable=SC2016 # both tools fill it in
                case ${pip_file##*/} in '*.whl' | uv-*) ;; *) printf '${ERRAND_FILES}/%s\n' "${pip_file##*/}" ;; esac
        done
}

# The names and the urls of what is asked for, in $1, as both tools read it: both fill in the variables that stand for
# passwords, which are so in no file and in no argument.
pip_write_request() {
        pip_umask=$(umask)
        umask 077
        {
                if fetched_here; then
                        echo --no-index
                        pip_without_addresses "$ERRAND_FILES/requirements.txt"
                else
                        pip_write_places index_url --index-url
                        pip_write_places extra_index_url --extra-index-url
                        pip_write_places find_links --find-links
                        settings no_index | sed 's/.*/--no-index/'
                        while IFS= read -r pip_line; do
                                # shellcheck disable=SC2016 # the text is meant
                                case $pip_line in *git+http*://*'${'*@*) pip_hide_git "$pip_line"; pip_line=$PIP_LINE ;; esac
                                printf '%s\n' "$pip_line"
                        done <"$ERRAND_FILES/requirements.txt"
                fi
        } >"$1"
        umask "$pip_umask"
}

# The index has no package of that name, as far as it shows itself: one that wants other credentials shows nothing.
pip_no_such() {
        pip_hint=$(pip_near "$1")
        if [ $? -eq 3 ]; then
                fail package "the package index does not let this host in; it was asked for $1" "check the user and the password in index_url"
        fi
        fail package "$1: there is no such package in the index" "$pip_hint"
}

pip_explain() {
        fail_for_all
        if says 'client error (40[13] \|40[13] Client Error\|HTTP error 40[13] '; then
                fail package "the server of a package does not let this host in: $(said '40[13] ')" "check the user and the password in its address"
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
                fail package "$(said 'Hash mismatch' | tr -d '`'): the index has another file than the one that was declared"
        fi
        if says 'do not match the hashes'; then
                pip_text=$(sed -n 's/^ *\([^ ]*\) from .*/\1/p' "$OUT" | tail -n 1)
                fail package "Hash mismatch for ${pip_text:-a package}: the index has another file than the one that was declared"
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
        # A package that has to be built, and fails at it: with the last it said itself.
        if says '^[^A-Za-z]*\(error: \)*Failed to build .'; then
                pip_text=$(sed -n '/\[stderr\]/,/^ *$/p' "$OUT" | grep '[^[:space:]]' | tail -n 1 | sed 's/^[│ ]*//')
                pip_name=$(said 'Failed to build .' | sed 's/^[^A-Za-z]*//' | tr -d '`')
                fail package "$pip_name${pip_text:+: $pip_text}" "$(pip_build_hint)"
        fi
        if says 'subprocess-exited-with-error\|Failed building wheel'; then
                pip_text=$(sed -n '/lines* of output\]/,/\[end of output\]/p' "$OUT" | grep -v 'of output\]' | grep '[^[:space:]]' | tail -n 1 | sed 's/^ *//')
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

# What this host is, for whoever downloads in its place.
pip_say_platform() {
        [ "$(setting fetch)" != host ] || return 0
        for pip_path in "$(pip_python_of_env)" "$PYTHON"; do
                pip_platform=$("$pip_path" -I "$ERRAND_FILES/distributions.py" platform - 2>/dev/null) && break
        done
        if [ -n "$pip_platform" ]; then
                tell platform "$pip_platform uv=$([ -n "$UV" ] && echo yes || echo no)"
        fi
}

# Nothing was downloaded for this host yet: that takes knowing what it is.
pip_want_sent() {
        if fetched_here && [ ! -f "$ERRAND_FILES/fetched.txt" ]; then
                pip_say_platform
                fail network "the packages were not sent yet: $1" "fetch: here downloads them on your machine; it needs pip or uv there"
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
        fail tool "no Python${pip_want:+ $pip_want} on this host, and uv could not bring one: $(said '[Nn]o interpreter\|[Ff]ailed\|error' || last_words)" \
                "install one on the host, for instance apt: [python3, python3-venv]"
}

# Names near to one that the index does not know; from the list of a small index, else from names that many know.
pip_near() {
        [ -n "$PYTHON" ] || PYTHON=$(command -v python3 2>/dev/null)
        [ -n "$PYTHON" ] || return 0
        filled_in "$(setting index_url)"
        PIP_INDEX=${FILLED_IN:-${UV_DEFAULT_INDEX-}} "$PYTHON" "$ERRAND_FILES/near.py" "$1" 2>/dev/null
}

pip_make_venv_uv() {
        pip_want=$(setting python)
        [ -n "$pip_want" ] || pip_want=$(setting requires_python)
        if [ -n "$pip_want" ]; then
                run "$UV" venv --no-project --python "$pip_want" "$ERRAND_PREFIX/venv"
        else
                # Most of what is published needs 3.9; where only an older one is there and none can be had, that one.
                run "$UV" venv --no-project --python '>=3.9' "$ERRAND_PREFIX/venv" ||
                        run "$UV" venv --no-project "$ERRAND_PREFIX/venv"
        fi
}

pip_make_venv_plain() {
        if [ -z "$PYTHON" ]; then
                pip_want=$(setting python)
                [ -n "$pip_want" ] || pip_want=$(setting requires_python)
                fail tool "no Python${pip_want:+ $pip_want} on this host, and uv, which could bring one, cannot be had" \
                        "install one on the host, for instance apt: [python3, python3-venv]"
        fi
        run "$PYTHON" -m venv "$ERRAND_PREFIX/venv" && [ -x "$ERRAND_PREFIX/venv/bin/pip" ] && return 0
        fail_for_all
        pip_text=$(said 'ensurepip')
        # Debian parts ensurepip from Python.
        rm -rf "$ERRAND_PREFIX/venv"
        run "$PYTHON" -m virtualenv "$ERRAND_PREFIX/venv" && return 0
        rm -rf "$ERRAND_PREFIX/venv"
        if "$PYTHON" -m pip --python "$PYTHON" --version >/dev/null 2>&1 && run "$PYTHON" -m venv --without-pip "$ERRAND_PREFIX/venv"; then
                pip_outer=1
                return 0
        fi
        fail tool "no virtual environment can be made with $PYTHON: ${pip_text:-$(last_words)}" \
                "Debian and Ubuntu: apt: [python3-venv]; or put uv into PATH on the host"
}

# Installs with uv into the Python $1.
pip_install_uv() {
        pip_write_request "$TMPDIR/request.txt"
        set -- "$UV" pip install --break-system-packages --python "$1" --index-strategy unsafe-best-match -r "$TMPDIR/request.txt"
        [ ! -s "$ERRAND_FILES/constraints.txt" ] || set -- "$@" -c "$ERRAND_FILES/constraints.txt"
        [ -z "${pip_locked-}" ] || set -- "$@" -r "$pip_locked"
        if fetched_here || [ -n "$(setting sent_links)" ]; then
                set -- "$@" --find-links "$ERRAND_FILES"
        fi
        [ -z "$(setting pre)" ] || set -- "$@" --prerelease allow
        for pip_host in $(settings trusted_host); do
                set -- "$@" --allow-insecure-host "$pip_host"
        done
        pip_torch=$(setting torch_backend)
        if [ -z "$pip_torch" ] && ! pip_has_index && ! fetched_here; then
                pip_torch=auto # the build for this host's driver; an index that was named has its own
        fi
        if [ -n "$pip_torch" ] && "$UV" pip install --help 2>/dev/null | grep -q torch-backend; then
                set -- "$@" --torch-backend "$pip_torch"
        fi
        run "$@"
}

pip_install_plain() {
        pip_netrc=$TMPDIR/netrc pip_twice=
        (umask 077 && : >"$pip_netrc")
        pip_write_request "$TMPDIR/request.txt"
        if [ -n "$pip_twice" ]; then
                : >"$pip_netrc"
                pip_write_request "$TMPDIR/request.txt" # now they are known
        fi
        if [ -s "$pip_netrc" ]; then
                # Behind the user's own: of two for one host the last counts.
                pip_own=$TMPDIR/netrc.all
                (umask 077 && { cat "${NETRC:-$HOME/.netrc}" 2>/dev/null; echo; cat "$pip_netrc"; } >"$pip_own")
                NETRC=$pip_own
                export NETRC
        fi
        if [ -n "${pip_outer-}" ]; then
                set -- "$PYTHON" -m pip --python "$1" install
        else
                set -- "$1" -m pip install
        fi
        set -- "$@" --no-input --disable-pip-version-check --progress-bar off -r "$TMPDIR/request.txt"
        [ ! -s "$ERRAND_FILES/constraints.txt" ] || set -- "$@" -c "$ERRAND_FILES/constraints.txt"
        if fetched_here || [ -n "$(setting sent_links)" ]; then
                set -- "$@" --find-links "$ERRAND_FILES"
        fi
        [ -z "$(setting pre)" ] || set -- "$@" --pre
        for pip_host in $(settings trusted_host); do
                set -- "$@" --trusted-host "$pip_host"
        done
        case $(setting torch_backend) in
        '' | auto) ;;
        *) set -- "$@" --extra-index-url "https://download.pytorch.org/whl/$(setting torch_backend)" ;;
        esac
        run "$@"
}

# uv.lock and its project, in $TMPDIR/lock.
pip_copy_lock() {
        mkdir -p "$TMPDIR/lock"
        cp "$ERRAND_FILES/uv.lock" "$TMPDIR/lock/"
        fill_file "$ERRAND_FILES/pyproject.toml" "$TMPDIR/lock/pyproject.toml"
}

# uv.lock: what it says for this platform becomes the requirements.
pip_export_lock() {
        [ -f "$ERRAND_FILES/uv.lock" ] && [ ! -f "$TMPDIR/locked.txt" ] || return 0
        if [ -z "$UV" ]; then
                note "uv.lock needs uv; without it the versions are chosen anew from pyproject.toml"
                return 0
        fi
        pip_copy_lock
        (cd "$TMPDIR/lock" && run "$UV" export --frozen --no-emit-workspace --no-header --no-annotate --format requirements.txt -o locked.txt) || pip_explain
        cp "$TMPDIR/lock/locked.txt" "$ERRAND_PREFIX/locked.txt"
        # From where the lock says; a list of versions alone would come from this host's index.
        if [ ! -d "$ERRAND_PREFIX/conda/bin" ] && ! fetched_here; then
                tell progress "installing what uv.lock says"
                run env "UV_PROJECT_ENVIRONMENT=$ERRAND_PREFIX/venv" "$UV" sync --frozen --inexact --no-install-workspace --project "$TMPDIR/lock" || pip_explain
                pip_locked=
        else
                pip_locked=$ERRAND_PREFIX/locked.txt
                if fetched_here && grep -q '^[^#]* @ ' "$pip_locked"; then
                        # What was made of a repository has no hash that a lock could know; then none may have one.
                        sed 's/ *\\$//; /^ *--hash=/d' "$pip_locked" >"$TMPDIR/unhashed.txt"
                        pip_locked=$TMPDIR/by-name.txt
                        pip_without_addresses "$TMPDIR/unhashed.txt" >"$pip_locked"
                fi
        fi
}

pip_python_of_env() {
        if [ -d "$ERRAND_PREFIX/conda/bin" ]; then
                printf '%s' "$ERRAND_PREFIX/conda/bin/python"
        else
                printf '%s' "$ERRAND_PREFIX/venv/bin/python"
        fi
}

# Whether an index answers, whatever it says; not to find out is as good as yes. Its words are in $OUT.
pip_reaches_index() {
        pip_url=$(setting index_url)
        pip_url=${pip_url:-${UV_DEFAULT_INDEX-${UV_INDEX_URL-}}}
        filled_in "$pip_url"
        pip_url=$FILLED_IN
        # Its host alone: what else is in the URL may be a password, and everybody on this host sees arguments.
        pip_url=$(printf '%s' "${pip_url:-https://pypi.org/}" | sed 's|^\([a-z]*://\)\([^/]*@\)\{0,1\}\([^/?#]*\).*|\1\3/|')
        case $pip_url in
        http://* | https://*) ;;
        *) return 0 ;;
        esac
        if have curl; then
                run curl --silent --show-error --head --output /dev/null --connect-timeout 4 --max-time 8 "$pip_url" && return 0
                # 6, 7, 28, 35, 60: no name, no connection, no answer, no TLS
                case $(cat "$TMPDIR/status.$$") in 5 | 6 | 7 | 28 | 35 | 60) return 1 ;; esac
        elif have wget; then
                run wget -q --spider -T 4 -t 1 "$pip_url" && return 0
                [ "$(cat "$TMPDIR/status.$$")" != 4 ] || return 1
        elif [ -n "$PYTHON" ]; then
                run "$PYTHON" -c 'import sys, urllib.request as u, urllib.error as e
try: u.urlopen(u.Request(sys.argv[1], method="HEAD"), timeout=4)
except e.HTTPError: pass
except (e.URLError, OSError) as why: sys.exit("connection failed: %s" % why)' "$pip_url" || return 1
        fi
}

# What was only found in a script, not asked for, need not be installed where it is.
pip_use_own() {
        [ "$(setting found)" = yes ] && [ ! -d "$ERRAND_PREFIX/conda/bin" ] && [ ! -s "$ERRAND_FILES/sources.txt" ] || return 1
        [ -z "$(setting python)$(setting requires_python)" ] || return 1
        pip_own=$(command -v python3) && "$pip_own" "$ERRAND_FILES/distributions.py" has "$ERRAND_FILES/requirements.txt" || return 1
        ln -s "$pip_own" "$ERRAND_PREFIX/own"
        if ! have python; then
                mkdir -p "$ERRAND_PREFIX/bin"
                ln -s "$pip_own" "$ERRAND_PREFIX/bin/python"
                tell prepend PATH "$ERRAND_PREFIX/bin"
        fi
        note "the host's own Python has all of it"
}

pip_build() {
        if pip_use_own; then
                return 0
        fi
        UV_CACHE_DIR=$ERRAND_CACHE/uv PIP_CACHE_DIR=$ERRAND_CACHE/pip UV_PYTHON_INSTALL_DIR=$ERRAND_TOOLS/python
        UV_PYTHON_PREFERENCE=${UV_PYTHON_PREFERENCE:-system} UV_NO_PROGRESS=1 NO_COLOR=1 UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-30}
        export UV_CACHE_DIR PIP_CACHE_DIR UV_PYTHON_INSTALL_DIR UV_PYTHON_PREFERENCE UV_NO_PROGRESS NO_COLOR UV_HTTP_TIMEOUT ERRAND_FILES
        if fetched_here; then
                UV_PYTHON_DOWNLOADS=never UV_OFFLINE=1
                export UV_PYTHON_DOWNLOADS UV_OFFLINE
                pip_find_uv
                pip_find_python
                pip_want_sent "fetch: here"
        else
                pip_host_index
                pip_find_uv
                pip_find_python
                pip_reaches_index || [ "$(setting no_index)" ] || pip_offline
        fi
        pip_outer=
        [ -n "$UV" ] || pip_get_uv
        pip_target=$(pip_python_of_env)
        pip_count=$(plural "$(grep -c '^[^-[:space:]#]' "$ERRAND_FILES/requirements.txt")" package)
        if [ -n "$UV" ]; then
                [ -d "$ERRAND_PREFIX/conda/bin" ] || pip_make_venv_uv || {
                        fail_for_all
                        pip_no_python
                }
                pip_export_lock
                tell progress "installing $pip_count with uv"
                pip_install_uv "$pip_target" || pip_explain
        else
                [ -d "$ERRAND_PREFIX/conda/bin" ] || pip_make_venv_plain
                tell progress "installing $pip_count with pip"
                pip_install_plain "$pip_target" || pip_explain
        fi
        [ -z "${pip_gits-}" ] || unset GIT_CONFIG_PARAMETERS # setup lines have the user's own
        if [ -s "$ERRAND_FILES/sources.txt" ]; then
                run "$pip_target" -I "$ERRAND_FILES/distributions.py" sources "$ERRAND_FILES/sources.txt" || fail tool "$(last_words)"
        fi
        tell progress "verifying $pip_count"
        pip_check
        if [ ! -d "$ERRAND_PREFIX/conda/bin" ]; then
                tell prepend PATH "$ERRAND_PREFIX/venv/bin"
                tell set VIRTUAL_ENV "$ERRAND_PREFIX/venv"
                tell unset PYTHONHOME
        fi
}

pip_check() {
        if [ -L "$ERRAND_PREFIX/own" ]; then
                run "$ERRAND_PREFIX/own" "$ERRAND_FILES/distributions.py" has "$ERRAND_FILES/requirements.txt" || fail package "$(last_words)"
                return 0
        fi
        pip_target=$(pip_python_of_env)
        [ -x "$pip_target" ] || fail tool "the environment's Python is gone: $pip_target"
        for pip_list in "$ERRAND_FILES/requirements.txt" "$ERRAND_PREFIX/locked.txt"; do
                [ -s "$pip_list" ] || continue
                run "$pip_target" -I "$ERRAND_FILES/distributions.py" verify "$pip_list" && continue
                pip_text=$(grep -v '^Traceback' "$OUT" | head -n 5 | tr '\n' ';' | sed 's/;$//; s/;/; /g')
                fail package "${pip_text:-the Python of the environment does not run}"
        done
}
