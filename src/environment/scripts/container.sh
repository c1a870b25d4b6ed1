# container.sh - an image, run by docker, podman or apptainer, whichever of them works here. What else is declared is made
# inside it, in the same directories: apt packages in an image made from it, everything else below $ERRAND_PREFIX.

container_root=${ERRAND_PREFIX%/environments/*}
# sh -c this ENGINE NAME: nothing is left only if the engine answers and does not know the name.
# shellcheck disable=SC2016 # for another shell
container_end='"$0" rm --force "$1" || left=$("$0" ps --all --quiet --filter "name=$1") && [ -z "$left" ]'

# Sets ENGINE and ENGINE_KIND. The engine is started without our TMPDIR: an ordinary user's podman would keep its records of
# all running containers there, and a build removes that directory at its end.
container_find() {
        ENGINE_KIND=
        container_names="docker podman apptainer singularity"
        # A file, a directory, or what only apptainer can fetch.
        case $(setting container) in
        docker://*) ;;
        *://* | /* | \~/* | *.sif) container_names="apptainer singularity" ;;
        esac
        for container_name in ${ERRAND_CONTAINER_ENGINE:-$container_names}; do
                ENGINE=$(command -v "$container_name" 2>/dev/null) || continue
                case $container_name in
                *docker | *podman)
                        if env -u TMPDIR "$ENGINE" info >"$OUT" 2>&1; then
                                ENGINE_KIND=${container_name##*/}
                                # Some systems have podman under that name.
                                ! "$ENGINE" --version 2>/dev/null | grep -q -i podman || ENGINE_KIND=podman
                                return 0
                        fi
                        container_why="$container_name: $(said 'permission denied\|[Cc]annot connect\|^Error' || last_words)"
                        ;;
                *)
                        if env -u TMPDIR "$ENGINE" --version >/dev/null 2>&1; then
                                ENGINE_KIND=apptainer
                                return 0
                        fi
                        ;;
                esac
        done
        case $container_names in
        docker*)
                fail tool "no container engine works on this host (docker, podman, apptainer)${container_why:+: $container_why}" \
                        "install podman or apptainer there, or let the user use docker"
                ;;
        esac
        fail tool "the image $(setting container) needs apptainer, which is not installed on this host" "install apptainer there"
}

container_explain() {
        fail_for_all
        if says 'manifest unknown\|not found\|does not exist\|access to the resource is denied\|repository name\|no such image\|unauthorized\|image not known'; then
                fail package "$1: $(said 'manifest unknown\|not found\|does not exist\|denied\|no such image\|unauthorized\|not known')"
        fi
        if looks_like_network || says 'pinging container registry'; then
                fail network "this host cannot fetch the image $1: $(said 'pinging\|dial\|esolve\|onnect\|imeout')"
        fi
        fail package "$1: $(said '^docker: \|^Error\|^FATAL' || last_words)"
}

container_pull() {
        container_image=$(setting container)
        if [ "$ENGINE_KIND" = apptainer ]; then
                case $container_image in
                \~/*) container_image=$HOME/${container_image#*/} ;;
                *://*) ;;
                [!/]*.sif) container_image=$HOME/$container_image ;;
                esac
                case $container_image in
                /*)
                        [ -e "$container_image" ] || fail package "$container_image: there is no such image on this host"
                        IMAGE=$container_image
                        return
                        ;;
                *://*) ;;
                *) container_image=docker://$container_image ;;
                esac
                IMAGE=$ERRAND_PREFIX/image.sif
                if [ ! -f "$IMAGE" ]; then
                        tell progress "fetching the image $container_image"
                        APPTAINER_CACHEDIR=$ERRAND_CACHE/apptainer
                        export APPTAINER_CACHEDIR
                        run env -u TMPDIR "$ENGINE" --nocolor pull "$IMAGE.new" "$container_image" || container_explain "$container_image"
                        mv "$IMAGE.new" "$IMAGE"
                fi
                return
        fi
        container_image=${container_image#docker://}
        if ! env -u TMPDIR "$ENGINE" image inspect "$container_image" >/dev/null 2>&1; then
                tell progress "fetching the image $container_image"
                run env -u TMPDIR "$ENGINE" pull "$container_image" || container_explain "$container_image"
        fi
        # By id: a tag may later mean another image.
        IMAGE=$(env -u TMPDIR "$ENGINE" image inspect --format '{{.Id}}' "$container_image" 2>/dev/null | sed -n '1p')
        [ -n "$IMAGE" ] || IMAGE=$container_image
}

# The options of every start, one a line, in $TMPDIR/options: devices, the user, what is shared with the host.
container_options() {
        container_security=
        [ "$ENGINE_KIND" = podman ] || container_security=$("$ENGINE" info --format '{{.SecurityOptions}}' 2>/dev/null)
        {
                # As much shared memory as the host; with podman, sharing it takes /dev/mqueue too.
                if [ -d /dev/mqueue ]; then echo --ipc=host; else echo --volume=/dev/shm:/dev/shm; fi
                printf '%s\n' --network=host "--volume=$container_root:$container_root" --entrypoint= --pull=never
                if [ "$(getenforce 2>/dev/null)" = Enforcing ]; then
                        echo --security-opt=label=disable
                fi
                # Files in work/ belong to the user, whoever the image means to be. Docker's daemon is root; where it is the
                # user's own, or podman is, the container's root is the user.
                case $ENGINE_KIND,$container_security in
                podman,* | *name=rootless*) echo --user=0:0 ;;
                *) printf '%s\n' "--user=$(id -u):$(id -g)" ;;
                esac
                case $container_security in *name=userns*) echo --userns=host ;; esac
                if [ -e /dev/nvidiactl ]; then
                        # All of them: CUDA_VISIBLE_DEVICES chooses by the host's numbers.
                        if [ "$ENGINE_KIND" = docker ] && { have nvidia-container-runtime-hook || grep -q '^ *Runtimes:.* nvidia' "$OUT"; }; then
                                echo --gpus=all
                        elif [ "$ENGINE_KIND" = podman ] || grep -q '^ *CDI spec directories:' "$OUT" &&
                                { [ -e /etc/cdi/nvidia.yaml ] || [ -e /var/run/cdi/nvidia.yaml ]; }; then
                                echo --device=nvidia.com/gpu=all
                        else
                                note "the container will see no GPU: the NVIDIA container toolkit is not set up on this host" >&2
                        fi
                fi
                if [ -e /dev/kfd ]; then
                        # Groups by number: the image may not have them, or number them differently.
                        printf '%s\n' --device=/dev/kfd --device=/dev/dri
                        stat -c '--group-add=%g' /dev/kfd /dev/dri/render* 2>/dev/null | sort -u
                fi
        } >"$TMPDIR/options"
}

# Runs a command in the image as a job would be: container_run WORDS...
container_run() {
        if [ "$ENGINE_KIND" = apptainer ]; then
                # shellcheck disable=SC2086 # a word or none
                env -u TMPDIR "$ENGINE" --silent --nocolor exec --bind "$container_root" --home "$ERRAND_PREFIX/home" --pwd "$ERRAND_PREFIX" \
                        $container_nv "$IMAGE" "$@"
                return
        fi
        container_words=$#
        while IFS= read -r container_line; do
                set -- "$@" "$container_line"
        done <"$TMPDIR/options"
        # By name only: everybody can see arguments.
        for container_name in ${ERRAND_SECRETS:+ERRAND_SECRETS ERRAND_MASKED $ERRAND_SECRETS}; do
                set -- "$@" "--env=$container_name"
        done
        # The options now stand behind the command; the command goes behind the image.
        set -- "$@" --workdir "$ERRAND_PREFIX" "$IMAGE"
        while [ "$container_words" -gt 0 ]; do
                set -- "$@" "$1"
                shift
                container_words=$((container_words - 1))
        done
        # shellcheck disable=SC2086 # words
        env -u TMPDIR "$ENGINE" run $container_more "$@"
}

# The other parts, inside the image: what they say on the control channel arrives as marked lines.
container_inside() {
        container_parts=$1
        { container_run env "HOME=$ERRAND_PREFIX/home" "ERRAND_PREFIX=$ERRAND_PREFIX" "ERRAND_FILES=$ERRAND_FILES" "ERRAND_TOOLS=$ERRAND_PREFIX/tools" \
                "ERRAND_CACHE=$ERRAND_CACHE" "TMPDIR=$TMPDIR" "ERRAND_FETCH=${ERRAND_FETCH-}" "ERRAND_UV=${ERRAND_UV-}" ERRAND_INSIDE=1 "ERRAND_PARTS=$container_parts" \
                sh "$ERRAND_FILES/build.sh" "$MODE" </dev/null 2>&1 3>&-; echo "$?" >"$TMPDIR/inside"; } | while IFS= read -r container_line || [ -n "$container_line" ]; do
                case $container_line in
                "@errand@ "*) printf '%s\n' "${container_line#@errand@ }" >&3 ;;
                *) printf '%s\n' "$container_line" ;;
                esac
        done
        [ "$(cat "$TMPDIR/inside")" -eq 0 ] || exit 1
}

container_setup() {
        container_find
        container_more=--rm
        container_nv=
        [ ! -e /dev/nvidiactl ] || container_nv=--nv
        if [ "$ENGINE_KIND" = apptainer ]; then
                : >"$TMPDIR/options"
        else
                container_options
        fi
}

# apt changes the image itself, so a new image is made from it.
container_apt() {
        if [ "$ENGINE_KIND" = apptainer ]; then
                fail tool "apt packages cannot be added to an apptainer image" "name an image that has them, or use conda"
        fi
        container_more="--name $container_building --user 0:0"
        # Its own user would not be root.
        grep -v '^--user=' "$TMPDIR/options" >"$TMPDIR/options.root"
        mv "$TMPDIR/options" "$TMPDIR/options.user"
        mv "$TMPDIR/options.root" "$TMPDIR/options"
        # An image made from a container keeps its variables and passes them to jobs, so it gets no secrets; apt needs none.
        (
                unset ERRAND_SECRETS ERRAND_MASKED
                container_inside apt
        )
        container_status=$?
        mv "$TMPDIR/options.user" "$TMPDIR/options"
        container_more="--rm --name $container_building"
        if [ "$container_status" -eq 0 ]; then
                tell progress "saving the image with its packages"
                IMAGE=$(env -u TMPDIR "$ENGINE" commit "$container_building" "errand-environment:${container_building#errand-build-}" 2>>"$OUT" | tail -n 1)
                # It is removed with the environment: by id, and only if nothing uses it.
                printf '%s\0' "$ENGINE" image rm "$IMAGE" >"$ERRAND_PREFIX/outside"
        fi
        env -u TMPDIR "$ENGINE" rm -f "$container_building" >/dev/null 2>&1
        [ "$container_status" -eq 0 ] || exit 1
        [ -n "$IMAGE" ] || container_explain "$(setting container)"
}

container_build() {
        container_setup
        container_pull
        mkdir -p "$ERRAND_PREFIX/home" "$ERRAND_PREFIX/tools" "$ERRAND_CACHE"
        if [ "$ENGINE_KIND" != apptainer ]; then
                # Its name finds it again if we are killed while it goes on.
                container_building=errand-build-$(printf '%s' "$ERRAND_PREFIX" | cksum | tr ' ' -)
                container_more="--rm --name $container_building"
                printf '%s\0' sh -c "$container_end" "$ENGINE" "$container_building" >"$TMPDIR/end"
        fi
        # Does it start at all, and where are its programs?
        # shellcheck disable=SC2016 # for the shell inside
        container_hello='printf "path %s\n" "$PATH"'
        # With a first process that passes signals on, if the engine has one; without it a cancel waits for the whole grace period.
        [ "$ENGINE_KIND" = apptainer ] || echo --init >>"$TMPDIR/options"
        run container_run sh -c "$container_hello" || {
                grep -v '^--init$' "$TMPDIR/options" >"$TMPDIR/options.plain"
                mv "$TMPDIR/options.plain" "$TMPDIR/options"
                run container_run sh -c "$container_hello" || container_explain "$(setting container)"
        }
        container_path=$(sed -n 's/^path //p' "$OUT" | sed -n '1p')
        case " $PARTS " in *" apt "*) container_apt ;; esac
        container_rest=$(printf '%s' "$PARTS" | sed 's/apt *//')
        printf '%s\n' "$IMAGE" >"$ERRAND_PREFIX/image"
        container_say
        # An image without Python and curl cannot fetch uv: take the host's along.
        case " $container_rest " in
        *" pip "*)
                if pip_find_uv || { pip_find_python; pip_get_uv; }; then
                        mkdir -p "$ERRAND_PREFIX/tools/bin" && cp "$UV" "$ERRAND_PREFIX/tools/bin/uv"
                fi
                ;;
        esac
        if [ -n "$container_rest" ]; then
                container_inside "$container_rest"
        fi
        for container_dir in "$ERRAND_PREFIX/conda/bin" "$ERRAND_PREFIX/venv/bin" "$ERRAND_PREFIX/bin"; do
                [ ! -d "$container_dir" ] || container_path=$container_dir:$container_path
        done
        if [ "$ENGINE_KIND" = apptainer ]; then
                tell wrap --env
                tell wrap "PATH=$container_path"
        else
                tell wrap "--env=PATH=$container_path"
        fi
        tell wrap "$IMAGE"
}

# What precedes a job's command; the agent fills in what is in braces.
container_say() {
        tell wrap "$ENGINE"
        if [ "$ENGINE_KIND" = apptainer ]; then
                # Without its remarks, which would mix with the output of the job.
                for container_word in --silent --nocolor exec --bind '{root}' --home "$ERRAND_PREFIX/home" --pwd '{dir}' $container_nv; do
                        tell wrap "$container_word"
                done
                # It passes all variables on; these name files of the host.
                for container_word in TMPDIR LD_PRELOAD PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONUSERBASE VIRTUAL_ENV CONDA_PREFIX \
                        CONDA_DEFAULT_ENV PERL5LIB R_LIBS R_LIBS_USER JULIA_PROJECT JULIA_LOAD_PATH JULIA_DEPOT_PATH; do
                        tell unset "$container_word"
                done
                return
        fi
        for container_word in run --rm --interactive '--name=errand-{id}' '--workdir={dir}' "--env=HOME=$ERRAND_PREFIX/home"; do
                tell wrap "$container_word"
        done
        while IFS= read -r container_word; do
                tell wrap "$container_word"
        done <"$TMPDIR/options"
        tell wrap '{each-var:--env=%}'
        for container_word in sh -c "$container_end" "$ENGINE" 'errand-{id}'; do
                tell end "$container_word"
        done
}

container_check() {
        container_setup
        IMAGE=$(cat "$ERRAND_PREFIX/image" 2>/dev/null)
        run container_run true || fail package "the image $(setting container) is gone, or does not start: $(last_words)"
        if [ -n "$PARTS" ]; then
                container_inside "$PARTS"
        fi
}
