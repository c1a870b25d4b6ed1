# pip.sh - Python packages: $ERRAND_FILES/requirements.txt and constraints.txt, into $ERRAND_PREFIX/venv (or into the
# conda prefix, if there is one). With uv if it is available, else with venv and pip.

# Sets PYTHON to a suitable Python of this host.
pip_find_python() {
        pip_want=$(setting python)
        [ -n "$pip_want" ] || pip_want=$(setting requires_python)
        PYTHON=
        for pip_name in "python$pip_want" python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python; do
                case $pip_name in *[!a-z0-9.]*) continue ;; esac
                pip_path=$(command -v "$pip_name" 2>/dev/null) || continue
                # pyenv's stand-ins may exist without their Python
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
        # A program for another C library or architecture does not start.
        "$1" --version >/dev/null 2>&1 || return 1
        # With a rename: another build may be starting the old one.
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
                        # The named index and no other; else the one that this host's pip is configured with. Through
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

pip_make_venv_uv() {
        pip_want=$(setting python)
        [ -n "$pip_want" ] || pip_want=$(setting requires_python)
        if [ -n "$pip_want" ]; then
                run "$UV" venv --no-project --python "$pip_want" "$ERRAND_PREFIX/venv"
        else
                # Most packages need 3.9; an older Python is used if there is no other.
                run "$UV" venv --no-project --python '>=3.9' "$ERRAND_PREFIX/venv" ||
                        run "$UV" venv --no-project "$ERRAND_PREFIX/venv"
        fi
}

pip_make_venv_plain() {
        if [ -z "$PYTHON" ]; then
                pip_want=$(setting python)
                [ -n "$pip_want" ] || pip_want=$(setting requires_python)
                fail tool "no Python${pip_want:+ $pip_want} on this host, and uv, which could install one, is not available" \
                        "install one on the host, for example with apt: [python3, python3-venv]"
        fi
        run "$PYTHON" -m venv "$ERRAND_PREFIX/venv" && [ -x "$ERRAND_PREFIX/venv/bin/pip" ] && return 0
        fail_for_all
        pip_text=$(said 'ensurepip')
        # Debian packages ensurepip separately.
        rm -rf "$ERRAND_PREFIX/venv"
        run "$PYTHON" -m virtualenv "$ERRAND_PREFIX/venv" && return 0
        rm -rf "$ERRAND_PREFIX/venv"
        if "$PYTHON" -m pip --python "$PYTHON" --version >/dev/null 2>&1 && run "$PYTHON" -m venv --without-pip "$ERRAND_PREFIX/venv"; then
                pip_outer=1
                return 0
        fi
        fail tool "cannot create a virtual environment with $PYTHON: ${pip_text:-$(last_words)}" \
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
                # After the user's own: of two entries for a host the last counts.
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

# Installs; what was only found in a script, not asked for, and is not in the index, is left out.
pip_install() {
        while ! "$1" "$pip_target"; do
                pip_leave_out || pip_explain
        done
}

pip_leave_out() {
        if fetched_here || looks_like_network || [ -z "$(setting found_name)" ]; then
                return 1
        fi
        pip_name=$(tr '\n' ' ' <"$OUT" | sed 's/[│╰─▶├]//g; s/   */ /g' | sed -n 's/ was not found in the package registry.*//; t found
d
: found
s/.*[ (]//p')
        if [ -z "$pip_name" ] && says '(from versions: none)'; then
                pip_name=$(sed -n 's/^ERROR: No matching distribution found for \([A-Za-z0-9._-]*\).*/\1/p' "$OUT" | sed -n '1p')
        fi
        pip_line=$(settings found_name | grep -m 1 "^$pip_name ")
        if [ -z "$pip_name" ] || [ -z "$pip_line" ] || grep -qxF "$pip_name" "$ERRAND_PREFIX/left_out.txt" 2>/dev/null; then
                return 1
        fi
        printf '%s\n' "$pip_name" >>"$ERRAND_PREFIX/left_out.txt"
        pip_line=${pip_line#* }
        tell say "$pip_name is left out, since the package index does not have it: ${pip_line%% *} is imported at ${pip_line#* }"
}

# What was found must be there under the name that the script imports.
pip_look() {
        settings found_name | while IFS= read -r pip_line; do
                pip_name=${pip_line%% *}
                pip_line=${pip_line#* }
                grep -qxF "$pip_name" "$ERRAND_PREFIX/left_out.txt" 2>/dev/null && continue
                "$pip_target" -I -c 'import importlib.util as u, sys; sys.exit(u.find_spec(sys.argv[1]) is None)' "${pip_line%% *}" 2>/dev/null ||
                        tell say "$pip_name is installed, but there is no module ${pip_line%% *} in it (imported at ${pip_line#* })"
        done
}

# pip for whoever calls it in a job or a notebook: else it would be that of another Python.
pip_give_pip() {
        if [ -z "$UV" ] || [ ! -d "$ERRAND_PREFIX/venv/bin" ] || [ -e "$ERRAND_PREFIX/venv/bin/pip" ]; then
                return 0
        fi
        {
                echo '#!/bin/sh'
                echo '# Made by errand: pip of this environment, by way of uv.'
                printf "uv='%s' python='%s'\n" "$(printf '%s' "$UV" | sed "s/'/'\\\\''/g")" \
                        "$(printf '%s' "$ERRAND_PREFIX/venv/bin/python" | sed "s/'/'\\\\''/g")"
                cat <<'END'
case ${1-} in
install | uninstall) echo "errand: pip changes the environment that jobs share until it is built anew; what is declared (pip:) stays" >&2 ;;
list | freeze | show | check | tree) ;;
*) exec "$uv" pip "$@" ;;
esac
command=$1
shift
if [ "$command" = uninstall ]; then
        for word; do
                shift
                case $word in -y | --yes) ;; *) set -- "$@" "$word" ;; esac
        done
fi
exec "$uv" pip "$command" --python "$python" "$@"
END
        } >"$ERRAND_PREFIX/venv/bin/pip"
        chmod 755 "$ERRAND_PREFIX/venv/bin/pip"
        ln -s pip "$ERRAND_PREFIX/venv/bin/pip3"
}

# uv.lock and its project, in $TMPDIR/lock.
pip_copy_lock() {
        mkdir -p "$TMPDIR/lock"
        cp "$ERRAND_FILES/uv.lock" "$TMPDIR/lock/"
        fill_file "$ERRAND_FILES/pyproject.toml" "$TMPDIR/lock/pyproject.toml"
}

# What uv.lock says for this platform becomes the requirements.
pip_export_lock() {
        [ -f "$ERRAND_FILES/uv.lock" ] && [ ! -f "$TMPDIR/locked.txt" ] || return 0
        if [ -z "$UV" ]; then
                note "uv.lock needs uv; without it versions are resolved anew from pyproject.toml"
                return 0
        fi
        pip_copy_lock
        (cd "$TMPDIR/lock" && run "$UV" export --frozen --no-emit-workspace --no-header --no-annotate --format requirements.txt -o locked.txt) || pip_explain
        cp "$TMPDIR/lock/locked.txt" "$ERRAND_PREFIX/locked.txt"
        # From where the lock says; with a list of versions alone, packages would come from this host's index.
        if [ ! -d "$ERRAND_PREFIX/conda/bin" ] && ! fetched_here; then
                tell progress "installing what uv.lock says"
                run env "UV_PROJECT_ENVIRONMENT=$ERRAND_PREFIX/venv" "$UV" sync --frozen --inexact --no-install-workspace --project "$TMPDIR/lock" || pip_explain
                pip_locked=
        else
                pip_locked=$ERRAND_PREFIX/locked.txt
                if fetched_here && grep -q '^[^#]* @ ' "$pip_locked"; then
                        # A package built from a repository has no hash that a lock could know; then none may have one.
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

# What was only found in a script, not asked for, need not be installed if the host has it.
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
                pip_install pip_install_uv
        else
                [ -d "$ERRAND_PREFIX/conda/bin" ] || pip_make_venv_plain
                tell progress "installing $pip_count with pip"
                pip_install pip_install_plain
        fi
        [ -z "${pip_gits-}" ] || unset GIT_CONFIG_PARAMETERS # setup lines have the user's own
        settings note | while IFS= read -r pip_text; do note "$pip_text"; done
        if [ -s "$ERRAND_FILES/sources.txt" ]; then
                run "$pip_target" -I "$ERRAND_FILES/distributions.py" sources "$ERRAND_FILES/sources.txt" || fail tool "$(last_words)"
        fi
        tell progress "verifying $pip_count"
        pip_check
        pip_look
        pip_give_pip
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
        for pip_list in "$(pip_wanted)" "$ERRAND_PREFIX/locked.txt"; do
                [ -s "$pip_list" ] || continue
                run "$pip_target" -I "$ERRAND_FILES/distributions.py" verify "$pip_list" && continue
                pip_text=$(grep -v '^Traceback' "$OUT" | head -n 5 | tr '\n' ';' | sed 's/;$//; s/;/; /g')
                fail package "${pip_text:-the Python of the environment does not run}"
        done
}
