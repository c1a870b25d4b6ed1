# fetch.sh - runs on the user's machine: downloads what $ERRAND_FILES asks for as wheels for the host that $ERRAND_TARGET
# describes ("python=3.11 machine=x86_64 libc=glibc-2.36 uv=no"), into $ERRAND_PREFIX/wheels.

# This is the machine that "fetch: here" means: pip and uv may use the index.
fetched_here() {
        return 1
}

fetch_target() {
        printf '%s\n' "$ERRAND_TARGET" | tr ' ' '\n' | sed -n "s/^$1=//p"
}

# The platform tags of wheels that run there, best first, one a line.
fetch_platforms() {
        fetch_machine=$(fetch_target machine)
        case $(fetch_target libc) in
        musl-*)
                fetch_minor=$(fetch_target libc | sed 's/.*\.//')
                while [ "$fetch_minor" -ge 1 ]; do
                        echo "musllinux_1_${fetch_minor}_$fetch_machine"
                        fetch_minor=$((fetch_minor - 1))
                done
                ;;
        *)
                fetch_minor=$(fetch_target libc | sed 's/.*\.//')
                while [ "$fetch_minor" -ge 5 ]; do
                        echo "manylinux_2_${fetch_minor}_$fetch_machine"
                        case $fetch_minor in
                        17) echo "manylinux2014_$fetch_machine" ;;
                        12) echo "manylinux2010_$fetch_machine" ;;
                        5) echo "manylinux1_$fetch_machine" ;;
                        esac
                        fetch_minor=$((fetch_minor - 1))
                done
                ;;
        esac
        echo "linux_$fetch_machine"
}

# pip download for that platform: fetch_wheels WORDS...
fetch_wheels() {
        fetch_python=$(fetch_target python)
        fetch_short=cp$(printf '%s' "$fetch_python" | tr -d .)
        set -- "$@" --python-version "$fetch_python" --implementation cp --abi "$fetch_short" --abi abi3 --abi none
        for fetch_tag in $(fetch_platforms); do
                set -- "$@" --platform "$fetch_tag"
        done
        # shellcheck disable=SC2086 # a command and its words
        run $FETCH_PIP download --no-input --disable-pip-version-check --progress-bar off -q --only-binary :all: -d "$ERRAND_PREFIX/wheels" "$@"
}

# Exact versions for that platform: markers are evaluated for the host, not for this machine.
fetch_lock() {
        set -- "$TMPDIR/request.txt"
        [ ! -s "$ERRAND_FILES/constraints.txt" ] || set -- "$@" -c "$ERRAND_FILES/constraints.txt"
        if [ -f "$ERRAND_FILES/uv.lock" ]; then
                pip_copy_lock
                (cd "$TMPDIR/lock" && run "$UV" export --frozen --no-emit-workspace --no-header --no-annotate --no-hashes --format requirements.txt -o locked.txt) || pip_explain
                set -- "$@" "$TMPDIR/lock/locked.txt"
        fi
        [ -z "$(setting sent_links)" ] || set -- "$@" --find-links "$ERRAND_FILES"
        [ -z "$(setting pre)" ] || set -- "$@" --prerelease allow
        case $(setting torch_backend) in
        '' | auto) ;;
        *) set -- "$@" --torch-backend "$(setting torch_backend)" ;;
        esac
        fetch_libc=$(fetch_target libc | sed 's/^glibc-/manylinux_/; s/^musl-/musllinux_/; s/\./_/')
        set -- "$UV" pip compile --quiet --no-header --no-annotate --emit-index-url --emit-find-links --index-strategy unsafe-best-match \
                --python-version "$(fetch_target python)" -o "$TMPDIR/locked.txt" "$@"
        run "$@" --python-platform "$(fetch_target machine)-$fetch_libc" || {
                # A libc that this uv does not know by name.
                says 'invalid value' && run "$@" --python-platform "$(fetch_target machine)-unknown-linux-gnu"
        } || pip_explain
}

fetch_main() {
        UV_CACHE_DIR=$ERRAND_CACHE/uv PIP_CACHE_DIR=$ERRAND_CACHE/pip UV_NO_PROGRESS=1 NO_COLOR=1
        export UV_CACHE_DIR PIP_CACHE_DIR UV_NO_PROGRESS NO_COLOR ERRAND_FILES
        mkdir -p "$ERRAND_PREFIX/wheels"
        pip_host_index
        PYTHON=
        for fetch_name in python3 python; do
                if [ -z "$PYTHON" ] && "$fetch_name" -m pip --version >/dev/null 2>&1; then
                        PYTHON=$(command -v "$fetch_name")
                fi
        done
        pip_find_uv || pip_get_uv
        if [ -n "$PYTHON" ]; then
                FETCH_PIP="$PYTHON -m pip"
        elif [ -n "$UV" ]; then
                FETCH_PIP="$UV tool run pip"
        else
                fail tool "fetch: here needs Python with pip, or uv, on this machine"
        fi
        case $FETCH_PIP in *[[:space:]]*" -m pip" | *[[:space:]]*" tool run pip") fail tool "the path of $PYTHON$UV has white space in it" ;; esac
        pip_write_request "$TMPDIR/request.txt"
        tell progress "downloading packages here for the host"
        if [ -n "$UV" ]; then
                fetch_lock
                # Local files are sent as they are.
                grep -v "^\${ERRAND_FILES}/\|^$ERRAND_FILES/\|^[a-z0-9._-]* @ file:" "$TMPDIR/locked.txt" >"$TMPDIR/wanted.txt"
                if grep -q ' @ git+' "$TMPDIR/wanted.txt"; then
                        fetch_each
                elif ! fetch_wheels --no-deps -r "$TMPDIR/wanted.txt"; then
                        looks_like_network && pip_explain
                        fetch_each
                fi
        else
                set -- -r "$TMPDIR/request.txt"
                [ ! -s "$ERRAND_FILES/constraints.txt" ] || set -- "$@" -c "$ERRAND_FILES/constraints.txt"
                [ -z "$(setting sent_links)" ] || set -- "$@" --find-links "$ERRAND_FILES"
                fetch_wheels "$@" || pip_explain
        fi
        if [ "$(fetch_target uv)" = no ]; then
                # Without it the build uses venv and pip: slower, and not possible everywhere.
                fetch_wheels --no-deps uv || note "uv cannot be sent: $(last_words)"
        fi
}

# The lines of $TMPDIR/wanted.txt, one after another: a wheel is built here for what has none for that platform.
fetch_each() {
        grep '^-' "$TMPDIR/wanted.txt" >"$TMPDIR/options.txt"
        grep '^[^-#[:space:]]' "$TMPDIR/wanted.txt" >"$TMPDIR/items.txt"
        while IFS= read -r fetch_item <&4; do
                fetch_item=${fetch_item%\\}
                { cat "$TMPDIR/options.txt"; printf '%s\n' "$fetch_item"; } >"$TMPDIR/one.txt"
                case $fetch_item in
                *" @ git+"*) fetch_make ;; # pip would download its sources
                *) fetch_wheels --no-deps -r "$TMPDIR/one.txt" || fetch_make ;;
                esac
        done 4<"$TMPDIR/items.txt"
}

# A wheel of $TMPDIR/one.txt, if it is the same on every platform.
fetch_make() {
        tell progress "building ${fetch_item%% *} here"
        rm -rf "$TMPDIR/built"
        # shellcheck disable=SC2086 # a command and its words
        run $FETCH_PIP wheel --no-input --disable-pip-version-check --progress-bar off -q --no-deps -w "$TMPDIR/built" -r "$TMPDIR/one.txt" || pip_explain
        for fetch_file in "$TMPDIR/built"/*.whl; do
                case $fetch_file in
                *-none-any.whl | *"-cp$(fetch_target python | tr -d .)-linux_$(fetch_target machine).whl") mv "$fetch_file" "$ERRAND_PREFIX/wheels/" ;;
                *) fail package "${fetch_item%% *}: there is no wheel for the host's Python $(fetch_target python) on $(fetch_target machine), and one built here would not run there" ;;
                esac
        done
}

fetch_main
exit 0
