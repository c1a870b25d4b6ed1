# pip_index.sh - where Python packages come from: indexes and addresses, and the passwords in them.

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

# A requirement from a repository, in $PIP_LINE, without its password, which both tools would put into arguments of git.
# Git asks a helper of ours for it, instead of the user's own helpers, which might store it. (GIT_CONFIG_PARAMETERS is how
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
        # Submodules use the password of the first repository on their host.
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

# The list of what is to be installed: all of it, except found names that the index does not have.
pip_wanted() {
        if [ ! -s "$ERRAND_PREFIX/left_out.txt" ]; then
                printf '%s' "$ERRAND_FILES/requirements.txt"
                return 0
        fi
        while IFS= read -r pip_line; do
                printf '%s\n' "${pip_line%%[!a-z0-9-]*}" | grep -qxFf "$ERRAND_PREFIX/left_out.txt" || printf '%s\n' "$pip_line"
        done <"$ERRAND_FILES/requirements.txt" >"$TMPDIR/wanted.txt"
        printf '%s' "$TMPDIR/wanted.txt"
}

# Writes the names and URLs of what is asked for to $1, in the form both tools read: both fill in the variables that stand
# for passwords, which therefore are in no file and in no argument.
pip_write_request() {
        pip_umask=$(umask)
        umask 077
        {
                if fetched_here; then
                        echo --no-index
                        pip_without_addresses "$(pip_wanted)"
                else
                        pip_write_places index_url --index-url
                        pip_write_places extra_index_url --extra-index-url
                        pip_write_places find_links --find-links
                        settings no_index | sed 's/.*/--no-index/'
                        while IFS= read -r pip_line; do
                                # shellcheck disable=SC2016 # the text is meant
                                case $pip_line in *git+http*://*'${'*@*) pip_hide_git "$pip_line"; pip_line=$PIP_LINE ;; esac
                                printf '%s\n' "$pip_line"
                        done <"$(pip_wanted)"
                fi
        } >"$1"
        umask "$pip_umask"
}

# Whether an index answers, whatever it says; if that cannot be found out, yes. Its words are in $OUT.
pip_reaches_index() {
        pip_url=$(setting index_url)
        pip_url=${pip_url:-${UV_DEFAULT_INDEX-${UV_INDEX_URL-}}}
        filled_in "$pip_url"
        pip_url=$FILLED_IN
        # Only its host: the rest of the URL may hold a password, and everybody on this host can see arguments.
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
