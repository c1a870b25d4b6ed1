# conda.sh - conda packages: $ERRAND_FILES/conda.txt, one spec a line, from channels.txt, into $ERRAND_PREFIX/conda.
# With micromamba where it is installed or can be downloaded, else with the host's own mamba or conda.

# Sets CONDA to a program that runs.
conda_find() {
        for conda_path in "${ERRAND_MICROMAMBA-}" "$(command -v micromamba 2>/dev/null)" "$HOME/.local/bin/micromamba" "$ERRAND_TOOLS/bin/micromamba" \
                "${MAMBA_EXE-}" "$(command -v mamba 2>/dev/null)" "${CONDA_EXE-}" "$(command -v conda 2>/dev/null)" "$HOME/miniforge3/bin/mamba" \
                "$HOME/miniforge3/bin/conda" "$HOME/miniconda3/bin/conda" "$HOME/anaconda3/bin/conda" /opt/conda/bin/conda; do
                # A function of the user's shell may have that name.
                case $conda_path in /*) ;; *) continue ;; esac
                if [ -x "$conda_path" ] && "$conda_path" --version >/dev/null 2>&1; then
                        CONDA=$conda_path
                        return 0
                fi
        done
        return 1
}

conda_get() {
        case $(uname -s)-$(uname -m) in
        Linux-x86_64) conda_platform=linux-64 ;;
        Linux-aarch64) conda_platform=linux-aarch64 ;;
        Linux-ppc64le) conda_platform=linux-ppc64le ;;
        *) fail tool "there is no micromamba for $(uname -s) on $(uname -m)" ;;
        esac
        tell progress "getting micromamba"
        mkdir -p "$ERRAND_TOOLS/bin"
        conda_new=$ERRAND_TOOLS/bin/micromamba.$$
        if ! fetched_here && run download "https://github.com/mamba-org/micromamba-releases/releases/latest/download/micromamba-$conda_platform" "$conda_new" &&
                chmod 755 "$conda_new" && "$conda_new" --version >/dev/null 2>&1; then
                mv -f "$conda_new" "$ERRAND_TOOLS/bin/micromamba"
                CONDA=$ERRAND_TOOLS/bin/micromamba
                return 0
        fi
        rm -f "$conda_new"
        fail_for_all
        fail network "conda packages are declared, but micromamba cannot be downloaded on this host: $(last_words)" \
                "put micromamba into ~/.errand/tools/bin on the host"
}

conda_explain() {
        fail_for_all
        conda_text=$(grep -m 1 -e 'does not exist (perhaps' -e 'nothing provides requested' "$OUT" | sed 's/^[^A-Za-z0-9_]*//; s/[=* ]* does not exist.*//; s/^nothing provides requested //')
        if [ -n "$conda_text" ]; then
                fail package "$conda_text: there is no such package in the channels ($(conda_channels | sed 's/\${[A-Z0-9_]*}/***/g' | tr '\n' ' ' | sed 's/ $//'))" \
                        "another channel may have it: channels: [conda-forge, ...]"
        fi
        if says 'PackagesNotFoundError'; then
                conda_text=$(sed -n '/PackagesNotFoundError/,$s/^ *- \([^ ]*\)$/\1/p' "$OUT" | sed -n '1p')
                fail package "$conda_text: there is no such package in the channels"
        fi
        if says 'could not solve\|unsatisfiable\|conflict'; then
                if looks_like_network; then
                        fail network "this host cannot reach the conda channels: $(said 'esolve\|onnect\|unreachable\|ownload')"
                fi
                conda_text=$(sed -n '/[Cc]ould not solve/,$p; /[Uu]nsatisfiable/,$p' "$OUT" | grep -v -i 'could not solve\|unsatisfiable\|following package' | grep '[^[:space:]]' |
                        head -n 6 | sed 's/^[^A-Za-z0-9]*//' | tr '\n' ';' | sed 's/;$//; s/:;/:/g; s/;/; /g')
                fail conflict "${conda_text:-$(last_words)}" "loosen one of them"
        fi
        if looks_like_network || says 'download error\|CondaHTTPError\|download failed'; then
                fail network "this host cannot reach the conda channels: $(said 'ownload\|HTTP\|esolve\|onnect')"
        fi
        conda_text=$(said '^error\|^critical\|Error: ')
        fail package "conda: ${conda_text:-$(last_words)}"
}

conda_channels() {
        if [ -s "$ERRAND_FILES/channels.txt" ]; then
                cat "$ERRAND_FILES/channels.txt"
        else
                echo conda-forge
        fi
}

# Channels with a password or token in an address must not be in arguments, which everybody on the host can see. A
# configuration of their own names them all, in order, as one channel (conda and mamba both know custom_multichannels).
conda_write_channels() {
        (
                umask 077
                {
                        [ ! -r "${CONDARC-}" ] || cat "$CONDARC"
                        printf 'custom_multichannels:\n  errand:\n'
                        conda_channels | while IFS= read -r conda_item; do
                                filled_in "$conda_item"
                                [ -z "$FILLED_IN" ] || printf "    - '%s'\n" "$(printf '%s' "$FILLED_IN" | sed "s/'/''/g")"
                        done
                } >"$TMPDIR/condarc"
        )
        CONDARC=$TMPDIR/condarc
        export CONDARC
}

# Removes the secrets from what the tools wrote down about where packages came from. (Later builds read the cache.)
conda_forget() {
        [ -n "${ERRAND_MASKED-}" ] || return 0
        (
                umask 077
                printf '%s\n' "$ERRAND_MASKED" >"$TMPDIR/masked"
                sed 's|[][\\/.*^$]|\\&|g; s|.*|s/&/***/g|' "$TMPDIR/masked" >"$TMPDIR/masked.sed"
        )
        for conda_path in "$ERRAND_PREFIX/conda/conda-meta" "$CONDA_PKGS_DIRS"; do
                [ ! -d "$conda_path" ] || find "$conda_path" -maxdepth 3 -type f \( -name '*.json' -o -name 'urls*' -o -name history -o -path '*/cache/*' \) \
                        -exec grep -l -F -f "$TMPDIR/masked" {} +
        done 2>/dev/null | while IFS= read -r conda_file; do
                # With a rename: another build may be reading it.
                cp -p "$conda_file" "$conda_file.$$" && LC_ALL=C sed -f "$TMPDIR/masked.sed" "$conda_file" >"$conda_file.$$" && mv -f "$conda_file.$$" "$conda_file" ||
                        rm -f "$conda_file" "$conda_file.$$"
        done
        rm -f "$TMPDIR/masked" "$TMPDIR/masked.sed" "$TMPDIR/condarc"
}

# Is a package of that name among the specs?
conda_declares() {
        sed 's/^.*:://; s/[[:space:]=<>!~\[].*//' "$ERRAND_FILES/conda.txt" | grep -q -x -i "$1"
}

conda_build() {
        CONDA=
        MAMBA_ROOT_PREFIX=$ERRAND_CACHE/mamba
        CONDA_PKGS_DIRS=$ERRAND_CACHE/mamba/pkgs
        MAMBA_NO_BANNER=1 CONDA_ALWAYS_YES=true CONDA_AUTO_UPDATE_CONDA=false CONDA_NOTIFY_OUTDATED_CONDA=false
        export MAMBA_ROOT_PREFIX CONDA_PKGS_DIRS MAMBA_NO_BANNER CONDA_ALWAYS_YES CONDA_AUTO_UPDATE_CONDA CONDA_NOTIFY_OUTDATED_CONDA
        mkdir -p "$CONDA_PKGS_DIRS"
        conda_find || conda_get
        set -- "$CONDA" create -y -p "$ERRAND_PREFIX/conda" --override-channels
        # shellcheck disable=SC2016 # a variable's name
        if conda_channels | grep -q '\${'; then
                conda_write_channels
                set -- "$@" -c errand
        else
                while IFS= read -r conda_item; do
                        [ -z "$conda_item" ] || set -- "$@" -c "$conda_item"
                done <<CHANNELS
$(conda_channels)
CHANNELS
        fi
        while IFS= read -r conda_item; do
                [ -z "$conda_item" ] || set -- "$@" "$conda_item"
        done <"$ERRAND_FILES/conda.txt"
        case " $PARTS " in
        *" pip "*) conda_python=yes ;;
        *) conda_python=$(setting python) ;;
        esac
        if [ -n "$conda_python" ] && ! conda_declares python; then
                conda_want=$(setting python)
                [ -n "$conda_want" ] || conda_want=$(setting requires_python)
                case $conda_want in
                '') set -- "$@" python ;;
                [0-9]*) set -- "$@" "python=$conda_want" ;;
                *) set -- "$@" "python $conda_want" ;;
                esac
        fi
        # For pip packages: uv, or else the pip of the prefix.
        if [ "$conda_python" = yes ] && ! conda_declares pip; then
                PYTHON=
                pip_find_uv || {
                        pip_find_python
                        pip_get_uv
                } || set -- "$@" pip
        fi
        tell progress "conda: solving and installing $(plural "$(count "$ERRAND_FILES/conda.txt")" package)"
        run "$@"
        conda_status=$?
        conda_forget
        [ "$conda_status" -eq 0 ] || conda_explain
        conda_check
        tell prepend PATH "$ERRAND_PREFIX/conda/bin"
        tell set CONDA_PREFIX "$ERRAND_PREFIX/conda"
        tell unset PYTHONHOME
        conda_activate
}

# What the packages' own activation scripts set, recorded once: no shell runs when a job starts.
conda_activate() {
        [ -d "$ERRAND_PREFIX/conda/etc/conda/activate.d" ] || return 0
        CONDA_PREFIX=$ERRAND_PREFIX/conda PATH=$ERRAND_PREFIX/conda/bin:$PATH env >"$TMPDIR/before"
        (
                CONDA_PREFIX=$ERRAND_PREFIX/conda PATH=$ERRAND_PREFIX/conda/bin:$PATH
                export CONDA_PREFIX PATH
                set +u
                for conda_script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do
                        # shellcheck disable=SC1090 # each package brings its own
                        [ ! -f "$conda_script" ] || . "$conda_script" 3>&-
                done
                env >"$TMPDIR/after"
        ) || note "an activation script failed"
        [ -f "$TMPDIR/after" ] || return 0
        grep -v -x -F -f "$TMPDIR/before" "$TMPDIR/after" | while IFS= read -r conda_line; do
                conda_name=${conda_line%%=*}
                case $conda_name in
                '' | *[!A-Za-z0-9_]* | _ | PATH | PWD | OLDPWD | SHLVL | CONDA_PREFIX) ;;
                *) tell set "$conda_name" "${conda_line#*=}" ;;
                esac
        done
}

conda_check() {
        conda_bad=
        while IFS= read -r conda_item; do
                [ -n "$conda_item" ] || continue
                conda_spec=$(printf '%s' "$conda_item" | sed 's/^.*:://; s/[[:space:]]*\([=<>!~,]\)[[:space:]]*/\1/g')
                conda_name=$(printf '%s' "$conda_spec" | sed 's/[[:space:]=<>!~[].*//' | tr '[:upper:]' '[:lower:]')
                conda_there=
                for conda_file in "$ERRAND_PREFIX/conda/conda-meta/$conda_name"-*.json; do
                        [ -f "$conda_file" ] || continue # nothing matched
                        conda_file=${conda_file##*/}
                        conda_file=${conda_file%.json}
                        conda_file=${conda_file%-*}
                        if [ "${conda_file%-*}" = "$conda_name" ]; then
                                conda_there=${conda_file##*-}
                        fi
                done
                if [ -z "$conda_there" ]; then
                        conda_bad="$conda_bad; $conda_name is not installed"
                        continue
                fi
                case ${conda_spec#"$conda_name"} in
                '=='*) conda_want=${conda_spec#*==} ;;
                '='*) conda_want=${conda_spec#*=} ;;
                *) continue ;; # a range: trust the solver
                esac
                conda_want=${conda_want%%=*}
                conda_want=${conda_want%%[*}
                case $conda_want in
                *[\<\>!~,\|]*) continue ;;
                esac
                conda_want=${conda_want%.\*}
                conda_want=${conda_want%\*}
                case $conda_there in
                "$conda_want" | "$conda_want".*) ;;
                *) conda_bad="$conda_bad; $conda_name is installed in version $conda_there, not $conda_want" ;;
                esac
        done <"$ERRAND_FILES/conda.txt"
        if [ -n "$conda_bad" ]; then
                fail package "conda: ${conda_bad#; }"
        fi
}
