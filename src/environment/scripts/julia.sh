# julia.sh - Julia packages: $ERRAND_FILES/julia.txt ("Name" or "Name@version" a line), or Project.toml with or without its
# Manifest.toml; into the project $ERRAND_PREFIX/julia. The depot is shared by all environments of this host.

JULIA_RELEASE=1.10.10

julia_find() {
        JULIA=
        for julia_path in "${ERRAND_JULIA-}" "$(command -v julia 2>/dev/null)" "$HOME/.juliaup/bin/julia" "$HOME/.local/bin/julia" "$ERRAND_TOOLS/julia-$JULIA_RELEASE/bin/julia"; do
                if [ -n "$julia_path" ] && [ -x "$julia_path" ] && "$julia_path" --version >/dev/null 2>&1; then
                        JULIA=$julia_path
                        return 0
                fi
        done
        return 1
}

julia_get() {
        case $(uname -m) in
        x86_64) julia_dir=x64 julia_cpu=x86_64 ;;
        aarch64) julia_dir=aarch64 julia_cpu=aarch64 ;;
        *) fail tool "there is no Julia on this host, and none to download for $(uname -m)" ;;
        esac
        tell progress "getting Julia $JULIA_RELEASE"
        julia_new=$ERRAND_TOOLS/julia.$$
        mkdir -p "$julia_new"
        if ! fetched_here && run download "https://julialang-s3.julialang.org/bin/linux/$julia_dir/${JULIA_RELEASE%.*}/julia-$JULIA_RELEASE-linux-$julia_cpu.tar.gz" "$julia_new/julia.tar.gz" &&
                run tar -C "$julia_new" -xzf "$julia_new/julia.tar.gz"; then
                # Another build may have been faster.
                [ -d "$ERRAND_TOOLS/julia-$JULIA_RELEASE" ] || mv "$julia_new/julia-$JULIA_RELEASE" "$ERRAND_TOOLS/julia-$JULIA_RELEASE"
        fi
        rm -rf "$julia_new"
        julia_find && return 0
        fail_for_all
        fail network "Julia packages are declared, but there is no julia on this host and it cannot be had: $(last_words)" \
                "install Julia on the host (juliaup), in PATH or ~/.juliaup/bin"
}

julia_run() {
        run "$JULIA" --startup-file=no --color=no --project="$ERRAND_PREFIX/julia" -e "$1"
}

julia_explain() {
        fail_for_all
        if says 'could not be resolved\|not found in project'; then
                julia_text=$(grep -m 1 -e ' \* [A-Za-z]' "$OUT" | sed 's/^[[:space:]]*\* *//; s/ .*//')
                julia_near=$(sed -n 's/.*[Ss]uggestions: *//p' "$OUT" | sed -n '1p')
                fail package "${julia_text:-$(last_words)}: there is no such package in the registry" "${julia_near:+did you mean $julia_near?}"
        fi
        if says 'unsatisfiable requirements'; then
                fail conflict "$(said 'nsatisfiable requirements')"
        fi
        if looks_like_network || says 'RequestError\|failed to download\|could not download'; then
                fail network "this host cannot reach Julia's registry: $(said 'RequestError\|ownload\|esolve')"
        fi
        fail package "julia: $(said '^ERROR' || last_words)"
}

julia_environment() {
        JULIA_DEPOT_PATH=$ERRAND_TOOLS/julia-depot:
        JULIA_PKG_PRECOMPILE_AUTO=${JULIA_PKG_PRECOMPILE_AUTO:-1}
        export JULIA_DEPOT_PATH JULIA_PKG_PRECOMPILE_AUTO
        mkdir -p "$ERRAND_TOOLS/julia-depot" "$ERRAND_PREFIX/julia"
}

julia_build() {
        julia_environment
        julia_find || julia_get
        if [ -f "$ERRAND_FILES/Project.toml" ]; then
                cp "$ERRAND_FILES/Project.toml" "$ERRAND_PREFIX/julia/"
                [ ! -f "$ERRAND_FILES/Manifest.toml" ] || cp "$ERRAND_FILES/Manifest.toml" "$ERRAND_PREFIX/julia/"
                chmod u+w "$ERRAND_PREFIX/julia/"*.toml
                tell progress "julia: installing what Project.toml names"
                julia_run 'using Pkg; Pkg.instantiate()' || julia_explain
        fi
        if [ -s "$ERRAND_FILES/julia.txt" ]; then
                # The names were checked when the recipe was made: letters, digits and what versions have.
                julia_list=$(sed -n 's/^\([A-Za-z0-9_.]*\)@\(.*\)$/Pkg.PackageSpec(name="\1", version="\2")/p; t
s/^\([A-Za-z0-9_.]*\)$/Pkg.PackageSpec(name="\1")/p' "$ERRAND_FILES/julia.txt" | tr '\n' ',' | sed 's/,$//; s/),/), /g')
                tell progress "julia: installing $(plural "$(count "$ERRAND_FILES/julia.txt")" package)"
                julia_run "using Pkg; Pkg.add([$julia_list])" || julia_explain
        fi
        julia_check
        tell set JULIA_PROJECT "$ERRAND_PREFIX/julia"
        tell set JULIA_DEPOT_PATH "$JULIA_DEPOT_PATH"
        tell prepend PATH "${JULIA%/*}"
}

julia_check() {
        julia_environment
        julia_find || fail tool "julia is gone from this host"
        julia_run 'using Pkg; for p in values(Pkg.dependencies()); p.is_direct_dep && println("have ", p.name, " ", p.version === nothing ? "" : p.version); end' || julia_explain
        julia_bad=
        if [ -s "$ERRAND_FILES/julia.txt" ]; then
                while IFS= read -r julia_item; do
                        [ -n "$julia_item" ] || continue
                        julia_name=${julia_item%%@*}
                        julia_there=$(sed -n "s/^have $julia_name //p" "$OUT" | sed -n '1p')
                        if ! grep -q "^have $julia_name " "$OUT"; then
                                julia_bad="$julia_bad; $julia_name is not installed"
                        elif [ "$julia_item" != "$julia_name" ]; then
                                case $julia_there in
                                "${julia_item#*@}" | "${julia_item#*@}".*) ;;
                                *) julia_bad="$julia_bad; $julia_name is there in version $julia_there, not ${julia_item#*@}" ;;
                                esac
                        fi
                done <"$ERRAND_FILES/julia.txt"
        fi
        if [ -f "$ERRAND_FILES/Project.toml" ]; then
                for julia_name in $(sed -n '/^\[deps\]/,/^\[[^d]/s/^\([A-Za-z0-9_]*\)[[:space:]]*=.*/\1/p' "$ERRAND_FILES/Project.toml"); do
                        grep -q "^have $julia_name " "$OUT" || julia_bad="$julia_bad; $julia_name is not installed"
                done
        fi
        if [ -n "$julia_bad" ]; then
                fail package "julia: ${julia_bad#; }"
        fi
}
