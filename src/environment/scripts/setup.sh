# setup.sh - the user's own lines, in the environment made so far. They run in $ERRAND_PREFIX; what they put into
# $ERRAND_PREFIX/bin will be in PATH.

setup_build() {
        tell progress "running the setup lines"
        mkdir -p "$ERRAND_PREFIX/bin"
        if [ -x "$ERRAND_PREFIX/venv/bin/python" ]; then
                VIRTUAL_ENV=$ERRAND_PREFIX/venv
                PATH=$ERRAND_PREFIX/venv/bin:$PATH
                export VIRTUAL_ENV
                # "pip install" is what setup lines do; venvs that uv makes have no pip.
                if [ ! -x "$ERRAND_PREFIX/venv/bin/pip" ] && [ -n "${UV-}" ]; then
                        printf '#!/bin/sh\nexec "%s" pip "$@"\n' "$UV" >"$ERRAND_PREFIX/venv/bin/pip"
                        chmod 755 "$ERRAND_PREFIX/venv/bin/pip"
                fi
        fi
        if [ -d "$ERRAND_PREFIX/conda/bin" ]; then
                CONDA_PREFIX=$ERRAND_PREFIX/conda
                PATH=$ERRAND_PREFIX/conda/bin:$PATH
                export CONDA_PREFIX
        fi
        PATH=$ERRAND_PREFIX/bin:$PATH
        export PATH
        if [ -n "$user_locale" ]; then LC_ALL=$user_locale; else unset LC_ALL; fi
        setup_file=$ERRAND_FILES/setup.txt
        # Also between single quotes, where the shell would not fill in.
        # shellcheck disable=SC2016 # the text is meant
        if grep -q '\${ERRAND_AUTH_' "$setup_file"; then
                fill_file "$setup_file" "$TMPDIR/setup.txt"
                setup_file=$TMPDIR/setup.txt
        fi
        run sh -e "$setup_file"
        setup_status=$?
        LC_ALL=C
        export LC_ALL
        if [ "$setup_status" -ne 0 ]; then
                fail_for_all
                if looks_like_network; then
                        fail network "setup: $(last_words)"
                fi
                fail package "setup: $(last_words) (exit status $setup_status)"
        fi
        tell prepend PATH "$ERRAND_PREFIX/bin"
}

# What they did is not known.
setup_check() {
        :
}
