# lib.sh - what the parts of build.sh share. POSIX sh: it runs under dash, busybox and bash alike.
#
# Run as "sh build.sh build" or "sh build.sh check" in $ERRAND_PREFIX, with ERRAND_FILES, ERRAND_TOOLS, ERRAND_CACHE and
# TMPDIR set. Descriptor 3 is the control channel: one word and its text on each line (src/agent/environment/build.h).
# Data of the declaration are read from files, never part of this text.

set -u
umask 022
MODE=${1:-build}
: "${ERRAND_PREFIX:?}" "${ERRAND_FILES:?}" "${ERRAND_TOOLS:?}" "${ERRAND_CACHE:?}" "${TMPDIR:=/tmp}"
OUT=$TMPDIR/out.$$
NEWLINE='
'
user_locale=${LC_ALL-}
# The messages of tools are searched below: have them in English.
LC_ALL=C
export LC_ALL TMPDIR
# Nothing of the user's own environments gets into this one.
unset PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV PIP_USER PIP_TARGET PIP_PREFIX \
        PIP_REQUIRE_VIRTUALENV PIP_REQUIRE_HASHES PIP_REQUIREMENT PIP_CONSTRAINT UV_PROJECT UV_PROJECT_ENVIRONMENT \
        UV_SYSTEM_PYTHON UV_CONSTRAINT JULIA_PROJECT JULIA_LOAD_PATH

# One line on the control channel.
tell() {
        if [ -n "${ERRAND_INSIDE-}" ]; then
                printf '@errand@ %s\n' "$(printf '%s' "$*" | tr '\n\r\t' '   ')" # there is no descriptor 3 in a container
        else
                printf '%s\n' "$(printf '%s' "$*" | tr '\n\r\t' '   ')" >&3
        fi
}

note() {
        printf 'errand: %s\n' "$*"
}

# fail KIND MESSAGE [HINT]
fail() {
        tell kind "$1"
        mask "${3-}"
        if [ -n "$MASKED" ]; then
                tell hint "$MASKED"
        fi
        mask "$2"
        tell error "$MASKED" # whoever shows the log shows this too
        exit 1
}

# The value of a setting; empty when it is not there.
setting() {
        sed -n "s/^$1=//p" "$ERRAND_FILES/settings" 2>/dev/null | sed -n '1p'
}

# Every value of a setting that may be there several times.
settings() {
        sed -n "s/^$1=//p" "$ERRAND_FILES/settings" 2>/dev/null
}

# Fills in the ${NAME}s of a text, as pip does, into $FILLED_IN (stdout would cost a process). $2: only names that begin
# with it.
# shellcheck disable=SC2016 # the text is meant
filled_in() {
        FILLED_IN='' fill_rest=$1 fill_mark='${'${2-}
        while :; do
                case $fill_rest in *"$fill_mark"*'}'*) ;; *) break ;; esac
                FILLED_IN=$FILLED_IN${fill_rest%%"$fill_mark"*}
                fill_rest=${fill_rest#*"$fill_mark"}
                fill_name=${2-}${fill_rest%%'}'*}
                fill_rest=${fill_rest#*'}'}
                case $fill_name in
                '' | [0-9]* | *[!A-Z0-9_]*) FILLED_IN="$FILLED_IN\${$fill_name}" ;;
                *) eval "FILLED_IN=\$FILLED_IN\${$fill_name-\\\${$fill_name\}}" ;; # what is not set stays as it is
                esac
        done
        FILLED_IN=$FILLED_IN$fill_rest
}

# Copies the file $1 to $2 with its secret variables, and no others, filled in: for tools that fill in none themselves.
fill_file() {
        (
                umask 077
                while IFS= read -r fill_line || [ -n "$fill_line" ]; do
                        filled_in "$fill_line" ERRAND_AUTH_
                        printf '%s\n' "$FILLED_IN"
                done <"$1" >"$2"
        )
}

# The reverse for secrets ($ERRAND_MASKED, one a line): $MASKED may be shown and kept.
mask() {
        MASKED=$1 mask_rest=${ERRAND_MASKED-}
        while [ -n "$mask_rest" ]; do
                mask_value=${mask_rest%%"$NEWLINE"*}
                mask_rest=${mask_rest#"$mask_value"}
                mask_rest=${mask_rest#"$NEWLINE"}
                while :; do
                        case $MASKED in
                        *"$mask_value"*) MASKED=${MASKED%%"$mask_value"*}'***'${MASKED#*"$mask_value"} ;;
                        *) break ;;
                        esac
                done
        done
}

# Decodes %XX in an address, into $DECODED.
decode() {
        DECODED='' decode_rest=$1
        while :; do
                case $decode_rest in *%[0-9A-Fa-f][0-9A-Fa-f]*) ;; *) break ;; esac
                DECODED=$DECODED${decode_rest%%'%'*}
                decode_rest=${decode_rest#*'%'}
                case $decode_rest in
                [0-9A-Fa-f][0-9A-Fa-f]*)
                        decode_byte=${decode_rest%"${decode_rest#??}"}
                        decode_rest=${decode_rest#??}
                        # shellcheck disable=SC2059 # three digits
                        DECODED=$DECODED$(printf "\\$(printf '%o' "0x$decode_byte")")
                        ;;
                *) DECODED=$DECODED% ;;
                esac
        done
        DECODED=$DECODED$decode_rest
}

# Splits an address with a user or a password, its variables filled in: $URL_PLAIN, $URL_HOST with its port, $URL_USER and
# $URL_PASSWORD, which are decoded. Fails when there is none, or when a variable has no value.
# shellcheck disable=SC2016 # the text is meant
split_url() {
        filled_in "$1"
        case $FILLED_IN in *'${'*) return 1 ;; *://*) ;; *) return 1 ;; esac
        split_rest=${FILLED_IN#*://}
        split_host=${split_rest%%[/?#]*}
        case $split_host in *@*) ;; *) return 1 ;; esac
        URL_HOST=${split_host##*@}
        URL_PLAIN=${FILLED_IN%%://*}://$URL_HOST${split_rest#"$split_host"}
        split_user=${split_host%@*}
        decode "${split_user%%:*}"
        URL_USER=$DECODED URL_PASSWORD=
        case $split_user in
        *:*)
                decode "${split_user#*:}"
                URL_PASSWORD=$DECODED
                ;;
        esac
}

have() {
        command -v "$1" >/dev/null 2>&1
}

# Lines of a file that are not empty.
count() {
        grep -c '[^[:space:]]' "$1" 2>/dev/null || :
}

plural() {
        if [ "$1" -eq 1 ]; then printf '1 %s' "$2"; else printf '%s %ss' "$1" "$2"; fi
}

# Runs a command; its output goes to the log as it comes, and to $OUT for explaining failures. Lines that tell its progress
# are shown to the user.
run() {
        : >"$OUT"
        { "$@" 2>&1 3>&- </dev/null; printf '%s\n' "$?" >"$TMPDIR/status.$$"; } | while IFS= read -r line || [ -n "$line" ]; do
                if [ -n "${ERRAND_MASKED-}" ]; then
                        mask "$line"
                        line=$MASKED
                fi
                printf '%s\n' "$line"
                printf '%s\n' "$line" >>"$OUT"
                case $line in
                "Resolved "*" package"*) rest=${line#Resolved }; tell progress "downloading ${rest%% in *}" ;;
                "Prepared "*" package"*) rest=${line#Prepared }; tell progress "installing ${rest%% in *}" ;;
                "Building "*" @ "*) rest=${line#Building }; tell progress "building ${rest%% @ *}" ;;
                "Collecting "*) rest=${line#Collecting }; tell progress "collecting ${rest%% *}" ;;
                "Installing collected packages: "*) tell progress "installing with pip" ;;
                "Setting up "*) rest=${line#Setting up }; tell progress "setting up ${rest%% *}" ;;
                "Unpacking "*) rest=${line#Unpacking }; tell progress "unpacking ${rest%% *}" ;;
                esac
        done
        # It is empty if the disk is full.
        run_status=$(cat "$TMPDIR/status.$$" 2>/dev/null)
        return "${run_status:-1}"
}

# The first match of a basic regular expression in what the last command said, without its leading marks.
said() {
        grep -m 1 -e "$1" "$OUT" 2>/dev/null | sed 's/^[[:space:]]*//; s/^\(cause\|Caused by\|error\|ERROR\|E\|Error\): *//; s/[[:space:]]*$//'
}

says() {
        grep -q -i -e "$1" "$OUT" 2>/dev/null
}

# The last line that is not empty: if nothing better is known.
last_words() {
        grep '[^[:space:]]' "$OUT" 2>/dev/null | tail -n 1 | sed 's/^[[:space:]]*//'
}

# Failures that are no fault of the tool that met them.
fail_for_all() {
        if says 'no space left on device\|disk quota exceeded\|enough free space\|os error 28'; then
                fail disk "no space left on the disk of ~/.errand: $(said '[Nn]o space left\|[Qq]uota exceeded\|enough free space')" \
                        "errand gc frees what no job needs any more; or point the ERRAND_HOME of the host to a larger disk"
        fi
        # Its message may not have fitted on the disk either.
        if ! dd if=/dev/zero of="$TMPDIR/room.$$" bs=65536 count=1 2>/dev/null; then
                rm -f "$TMPDIR/room.$$"
                fail disk "no space left on the disk of ~/.errand" \
                        "errand gc frees what no job needs any more; or point the ERRAND_HOME of the host to a larger disk"
        fi
        rm -f "$TMPDIR/room.$$"
}

looks_like_network() {
        says 'temporary failure in name resolution\|failed to establish a new connection\|could not resolve\|dns error\|name or service not known\|network is unreachable\|connection refused\|connection timed out\|connecttimeouterror\|operation timed out\|error sending request\|tcp connect error\|no route to host\|connection reset\|proxyerror\|newconnectionerror\|certificate verify failed\|sslerror\|invalid peer certificate\|unreachable'
}

# download URL FILE
download() {
        if have curl; then
                curl --fail --silent --show-error --location --connect-timeout 10 --max-time 600 --retry 2 -o "$2" "$1"
        elif have wget; then
                wget -q -T 15 -t 2 -O "$2" "$1"
        elif have python3; then
                python3 -c 'import sys, urllib.request as u, shutil
with u.urlopen(sys.argv[1], timeout=15) as r, open(sys.argv[2], "wb") as f: shutil.copyfileobj(r, f)' "$1" "$2"
        else
                echo "none of curl, wget and python3 is installed"
                return 127
        fi
}

# Nothing may be fetched: what is needed has been sent (fetched.txt lists it), or will be.
fetched_here() {
        case ${ERRAND_FETCH-} in
        here) return 0 ;;
        host) return 1 ;;
        esac
        [ "$(setting fetch)" = here ] || [ -f "$ERRAND_FILES/fetched.txt" ]
}
