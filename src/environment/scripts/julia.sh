# julia.sh - Julia packages: $ERRAND_FILES/julia.txt ("Name" or "Name@version" a line), or Project.toml with or without its
# Manifest.toml (or the one for this Julia's version); into the project $ERRAND_PREFIX/julia. The depot is shared by all environments of this host.

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
                # Another build may have been first.
                [ -d "$ERRAND_TOOLS/julia-$JULIA_RELEASE" ] || mv "$julia_new/julia-$JULIA_RELEASE" "$ERRAND_TOOLS/julia-$JULIA_RELEASE"
        fi
        rm -rf "$julia_new"
        julia_find && return 0
        fail_for_all
        fail network "Julia packages are declared, but there is no julia on this host and it cannot be downloaded: $(last_words)" \
                "install Julia on the host (juliaup), in PATH or ~/.juliaup/bin"
}

# julia_run CODE [ARG...]
julia_run() {
        julia_code=$1
        shift
        run "$JULIA" --startup-file=no --color=no --project="$ERRAND_PREFIX/julia" -e "$julia_code" "$@"
}

JULIA_PREPARE='
using Pkg
# Pkg updates only the registries of the first depot, and some versions not even those if it was done today.
function fresh()
    isdefined(Pkg, :OFFLINE_MODE) && Pkg.OFFLINE_MODE[] && return
    depots = copy(DEPOT_PATH)
    for depot in depots
        isdir(joinpath(depot, "registries")) || continue
        try
            copy!(DEPOT_PATH, [depot])
            Pkg.Registry.update()
        catch problem
            println("the registries in ", depot, " stay as they are: ", sprint(showerror, problem))
        finally
            copy!(DEPOT_PATH, depots)
        end
    end
end
# Once here, not in every job. What does not compile here (without the display or the network that jobs have) is left to
# whoever loads it: versions differ in whether that is an error when adding it.
wanted = !(lowercase(get(ENV, "JULIA_PKG_PRECOMPILE_AUTO", "1")) in ("0", "false", "no", "n", "f"))
ENV["JULIA_PKG_PRECOMPILE_AUTO"] = "0"
function compile()
    try
        wanted && Pkg.precompile()
    catch problem
        println("not everything could be precompiled: ", sprint(showerror, problem))
    end
end
'

# What is installed. After a build, the user'"'"'s depots are told what of theirs is used, for Pkg.gc() there to leave it.
JULIA_LIST='
using Pkg, Dates
packages = values(Pkg.dependencies())
println() # a bar may have left the line unfinished
for p in packages
    there = p.source === nothing || isdir(p.source)
    println(!there ? "gone " : p.is_direct_dep ? "have " : "also ", p.name, " ", !there ? p.source : p.version === nothing ? "" : p.version)
end
for depot in DEPOT_PATH[2:end]
    ARGS[1] == "build" || break
    any(p -> p.source !== nothing && startswith(p.source, joinpath(depot, "packages", "")), packages) || continue
    try
        mkpath(joinpath(depot, "logs"))
        open(joinpath(depot, "logs", "manifest_usage.toml"), "a") do io
            println(io, "[[", repr(ARGS[2]), "]]\ntime = ", now(UTC), "Z")
        end
    catch problem
        println(depot, " cannot be written to: ", sprint(showerror, problem))
    end
end
'

# The nearest name to ARGS[1] in the registries.
JULIA_NEAR='
using Pkg
names = Set([""])
if isdefined(Pkg.Registry, :reachable_registries)
    for registry in Pkg.Registry.reachable_registries(), entry in values(registry.pkgs)
        push!(names, entry.name)
    end
else
    for registries in joinpath.(DEPOT_PATH, "registries")
        isdir(registries) || continue
        for file in filter(isfile, joinpath.(registries, readdir(registries), "Registry.toml"))
            for found in eachmatch(r"\bname *= *\"(\w+)\", *path", read(file, String))
                push!(names, found.captures[1])
            end
        end
    end
end
function distance(a, b)
    row = collect(0:length(b))
    for (i, x) in enumerate(a)
        before, row[1] = row[1], i
        for (j, y) in enumerate(b)
            before, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, before + (x != y))
        end
    end
    row[end]
end
wanted = lowercase(ARGS[1])
best, name = findmin(Dict(name => distance(wanted, lowercase(name)) for name in names))
best <= max(1, div(length(wanted), 3)) && println("near ", name)
'

# julia_no_package NAME
julia_no_package() {
        julia_text="$1: there is no such package in the registries"
        if looks_like_network || says 'could not download\|failed to fetch'; then
                julia_text="$julia_text as this host has them, which it cannot bring up to date"
        fi
        julia_near=$(sed -n 's/.*[Ss]uggestions: *//p' "$OUT" | sed -n '1p')
        if [ -z "$julia_near" ] && julia_run "$JULIA_NEAR" "$1" >/dev/null; then
                julia_near=$(sed -n 's/^near //p' "$OUT")
        fi
        fail package "$julia_text" "${julia_near:+did you mean $julia_near?}"
}

julia_explain() {
        # Pkg moves the cursor about for its bars, terminal or not.
        julia_escape=$(printf '\033')
        sed "s/$julia_escape\[[?0-9;]*[A-Za-z]//g" "$OUT" >"$TMPDIR/plain.$$" && mv "$TMPDIR/plain.$$" "$OUT"
        fail_for_all
        if says 'names could not be resolved\|not found in project'; then
                julia_name=$(grep -m 1 -e ' \* [A-Za-z]' "$OUT" | sed 's/^[[:space:]]*\* *//; s/ .*//')
                julia_no_package "${julia_name:-$(last_words)}"
        fi
        if says 'unsatisfiable requirements'; then
                # "... detected for package A [uuid]:", then why, as a tree: "A [uuid] log:", "restricted by ... with B [uuid]".
                julia_text=$(awk '/ log:$/ { match($0, /[A-Za-z0-9_]+ (\[[^ ]*\] )?log:$/); name = substr($0, RSTART); sub(/ .*/, "", name) }
                        /restricted (to|by) / && !/versions \* by/ && shown < 4 {
                                sub(/^[^a-z]*/, ""); gsub(/ \[[0-9a-f]+\]/, "")
                                printf "%s%s%s", shown++ ? "; " : "", name == last ? "" : name ": ", $0
                                last = name
                        }' "$OUT")
                julia_have=$(sed -n 's/^[^a-z]*possible versions are: *//p' "$OUT" | sed -n '1p')
                fail conflict "${julia_text:-$(said 'nsatisfiable requirements')}" "${julia_have:+possible versions of ${julia_text%%:*} are $julia_have}"
        fi
        if looks_like_network || says 'RequestError\|failed to download\|could not download\|failed to clone\|failed to fetch'; then
                julia_text=$(said '^ERROR.*\(clone\|fetch\|ownload\|RequestError\|esolve\)')
                fail network "this host cannot reach Julia's registry: ${julia_text:-$(said 'RequestError\|ownload\|esolve\|clone\|fetch')}"
        fi
        if says 'expected package .* to be registered'; then
                julia_no_package "$(said 'xpected package .* to be registered' | sed 's/.*xpected package `*\([^ `]*\).*/\1/')"
        fi
        if says 'could not parse entry for `*deps'; then
                fail package "Manifest.toml was written by a newer Julia than this host's $("$JULIA" --version | sed 's/.* //')" \
                        "install that Julia on the host (juliaup), leave Manifest.toml out, or put one for the host's Julia beside it (Manifest-v1.x.toml)"
        fi
        fail package "julia: $(said '^ERROR' || last_words)"
}

julia_environment() {
        # First what errand installs; then the user's own depots, for their registries and for what they already have. The
        # empty entry at the end stands for what comes with Julia (until 1.10, also for ~/.julia).
        case ${JULIA_DEPOT_PATH-} in
        "$ERRAND_TOOLS/julia-depot:"*) ;;
        *) JULIA_DEPOT_PATH=$ERRAND_TOOLS/julia-depot:${JULIA_DEPOT_PATH:-$HOME/.julia}: ;;
        esac
        # The active project, which is what was declared unless the command names another one, whose packages are here all
        # the same; what the project in the job's directory is itself; what comes with Julia. Not what the user once added to
        # an environment of his own.
        JULIA_LOAD_PATH=@:$ERRAND_PREFIX/julia:@.:@stdlib
        export JULIA_DEPOT_PATH JULIA_LOAD_PATH
        mkdir -p "$ERRAND_TOOLS/julia-depot" "$ERRAND_PREFIX/julia"
        # Julia looks for the user's package server logins in the first depot only.
        julia_own=${JULIA_DEPOT_PATH#*:}
        julia_own=${julia_own%%:*}
        if [ -d "$julia_own/servers" ] && [ ! -e "$ERRAND_TOOLS/julia-depot/servers" ]; then
                ln -s "$julia_own/servers" "$ERRAND_TOOLS/julia-depot/servers" 2>/dev/null || :
        fi
}

julia_build() {
        julia_environment
        julia_find || julia_get
        julia_todo=
        if [ -f "$ERRAND_FILES/Project.toml" ]; then
                # A project that is a package too has its sources where the job runs; here are only the packages it needs.
                awk '/^[[:space:]]*\[/ { inside = 1 }
                        inside || !/^[[:space:]]*(name|uuid|version)[[:space:]]*=/' "$ERRAND_FILES/Project.toml" >"$ERRAND_PREFIX/julia/Project.toml"
                tell progress "julia: installing what Project.toml names"
                julia_todo='fresh(); Pkg.instantiate()'
                julia_manifest=$ERRAND_FILES/Manifest-v$("$JULIA" --version | sed 's/.* \([0-9]*\.[0-9]*\).*/\1/').toml
                [ -f "$julia_manifest" ] || julia_manifest=$ERRAND_FILES/Manifest.toml
                if [ -f "$julia_manifest" ]; then
                        cp "$julia_manifest" "$ERRAND_PREFIX/julia/Manifest.toml"
                        chmod u+w "$ERRAND_PREFIX/julia/Manifest.toml"
                        # It says where everything is: a registry is only needed if an old one does not know that.
                        julia_todo="try Pkg.instantiate() catch; $julia_todo end"
                fi
        fi
        if [ -s "$ERRAND_FILES/julia.txt" ]; then
                # The names were checked when the recipe was made: letters, digits and what versions have.
                julia_list=$(sed -n 's/^\([A-Za-z0-9_.]*\)@\(.*\)$/Pkg.PackageSpec(name="\1", version="\2")/p; t
s/^\([A-Za-z0-9_.]*\)$/Pkg.PackageSpec(name="\1")/p' "$ERRAND_FILES/julia.txt" | tr '\n' ',' | sed 's/,$//; s/),/), /g')
                tell progress "julia: installing $(plural "$(count "$ERRAND_FILES/julia.txt")" package)"
                julia_todo="${julia_todo:+$julia_todo; }fresh(); Pkg.add([$julia_list])"
        fi
        julia_run "$JULIA_PREPARE $julia_todo; compile() $JULIA_LIST" build "$ERRAND_PREFIX/julia/Manifest.toml" || julia_explain
        julia_verify "packages that are named by where they lie do not travel to the host"
        tell set JULIA_PROJECT "$ERRAND_PREFIX/julia"
        tell set JULIA_DEPOT_PATH "$JULIA_DEPOT_PATH"
        tell set JULIA_LOAD_PATH "$JULIA_LOAD_PATH"
        # Only julia: the programs beside it would come before what the other parts made.
        mkdir -p "$ERRAND_PREFIX/julia/bin"
        printf '#!/bin/sh\nexec "%s" "$@"\n' "$JULIA" >"$ERRAND_PREFIX/julia/bin/julia"
        chmod 755 "$ERRAND_PREFIX/julia/bin/julia"
        tell prepend PATH "$ERRAND_PREFIX/julia/bin"
}

julia_check() {
        julia_environment
        julia_find || fail tool "julia is gone from this host"
        julia_run "$JULIA_LIST" check || julia_explain
        julia_verify "it has been removed"
}

# julia_verify WHY: compares what was just listed with what was declared. WHY: why something may be missing.
julia_verify() {
        julia_bad=$(sed -n "s/^gone \([^ ]*\) \(.*\)/; \1 is not in \2: $1/p" "$OUT" | tr -d '\n')
        if [ -s "$ERRAND_FILES/julia.txt" ]; then
                while IFS= read -r julia_item; do
                        [ -n "$julia_item" ] || continue
                        julia_name=${julia_item%%@*}
                        julia_wanted=${julia_item#"$julia_name"}
                        julia_wanted=${julia_wanted#@}
                        if ! grep -q "^\(have\|gone\) $julia_name " "$OUT"; then
                                julia_bad="$julia_bad; $julia_name is not installed"
                                continue
                        fi
                        julia_there=$(sed -n "s/^have $julia_name //p" "$OUT" | sed -n '1p')
                        case $julia_wanted:$julia_there in
                        :* | *: | *-*:*) ;; # any; gone or part of Julia; a range, which Pkg has kept to
                        *) case $julia_there in
                                "$julia_wanted" | "$julia_wanted".* | "$julia_wanted"+*) ;;
                                *) julia_bad="$julia_bad; $julia_name is there in version $julia_there, not $julia_wanted" ;;
                                esac ;;
                        esac
                done <"$ERRAND_FILES/julia.txt"
        fi
        if [ -f "$ERRAND_FILES/Project.toml" ]; then
                for julia_name in $(sed -n '/^\[deps\]/,/^\[[^d]/s/^\([A-Za-z0-9_]*\)[[:space:]]*=.*/\1/p' "$ERRAND_FILES/Project.toml"); do
                        grep -q "^\(have\|gone\) $julia_name " "$OUT" || julia_bad="$julia_bad; $julia_name is not installed"
                done
        fi
        if [ -n "$julia_bad" ]; then
                fail package "julia: ${julia_bad#; }"
        fi
}
