/* ssh_explain.c - what ssh's complaints mean: a table, in which the first pattern found decides. */
#include "host/connect/ssh_explain.h"

#include "base/parse.h"

#define CHANGED_KEY "the host's key is not the known one"
#define LINE_MAX_SHOWN 300u
#define WAY_LINES 3u

struct complaint {
        const char *pattern; /* as OpenSSH writes it */
        enum er_code code;
        bool retryable; /* trying again later can help */
        bool momentary; /* ... even at once */
        const char *meaning;
        const char *hint; /* %s: the target; may be NULL */
};

static const struct complaint complaints[] = {
        {"REMOTE HOST IDENTIFICATION HAS CHANGED", ER_HOSTKEY, false, false, CHANGED_KEY,
         "someone may be intercepting the connection, or the machine was reinstalled; if you know that it was, forget "
         "the old key with `ssh-keygen -R %s` and connect once with `ssh`"},
        {"has changed and you have requested strict checking", ER_HOSTKEY, false, false, CHANGED_KEY,
         "if you know that the machine was reinstalled, forget the old key with `ssh-keygen -R %s`"},
        {"REVOKED HOST KEY", ER_HOSTKEY, false, false, "the host's key has been revoked", NULL},
        {"Host key verification failed", ER_HOSTKEY, false, false, "the host's key is not known yet",
         "connect once with `ssh %s` to see and accept its key"},
        {"Could not resolve hostname", ER_NET, true, false, "no such host",
         "check the spelling, ~/.ssh/config and your network"},
        {"Connection refused", ER_NET, true, false, "connection refused",
         "is sshd running there, and is the port right? (host:port)"},
        {"No route to host", ER_NET, true, false, "no route to it", "is it on, and are you on its network or VPN?"},
        {"Network is unreachable", ER_NET, true, false, "no route to it", "is this machine online?"},
        {"Host is down", ER_NET, true, false, "it is down", NULL},
        {"during banner exchange", ER_NET, true, false, "it accepts the connection but does not answer", NULL},
        {"onnection timed out", ER_NET, true, false, "it does not answer",
         "is it on, and does a firewall let you through?"},
        {"Operation timed out", ER_NET, true, false, "it does not answer",
         "is it on, and does a firewall let you through?"},
        {"UNPROTECTED PRIVATE KEY FILE", ER_AUTH, false, false, "ssh refuses a private key that others can read",
         "chmod 600 the key file"},
        {"Bad owner or permissions on", ER_CONFIG, false, false, "ssh rejects its configuration file",
         "it must belong to you and not be writable by others"},
        {"Bad configuration option", ER_CONFIG, false, false, "ssh does not understand its configuration", NULL},
        {"Too many authentication failures", ER_AUTH, false, false, "too many keys were tried",
         "name the right one: IdentityFile and IdentitiesOnly in ~/.ssh/config, or --identity"},
        {"Permission denied", ER_AUTH, false, false, "it does not let you in",
         "try `ssh %s true`; is your key there (ssh-copy-id) and loaded (ssh-add), is the user name right?"},
        {"no matching host key type", ER_CONFIG, false, false, "ssh and the host have no host key type in common",
         NULL},
        {"Unable to negotiate with", ER_CONFIG, false, false, "ssh and the host have no algorithm in common", NULL},
        {"kex_exchange_identification: banner line contains", ER_NET, false, false, "what answers there is not sshd",
         NULL},
        {"kex_exchange_identification", ER_TRANSPORT, true, true, "it closed the connection before the login", NULL},
        {"ssh_exchange_identification", ER_TRANSPORT, true, true, "it closed the connection before the login", NULL},
        {"Not allowed at this time", ER_TRANSPORT, true, true, "it accepts no more logins for the moment", NULL},
        {"Exceeded MaxStartups", ER_TRANSPORT, true, true, "it accepts no more logins for the moment", NULL},
        {"Timeout, server", ER_TRANSPORT, true, false, "it stopped answering", NULL},
        {"Connection reset by", ER_TRANSPORT, true, true, "the connection was reset", NULL},
        {"Connection closed by", ER_TRANSPORT, true, true, "it closed the connection", NULL},
        {"closed by remote host", ER_TRANSPORT, true, false, "it closed the connection", NULL},
        {"Broken pipe", ER_TRANSPORT, true, false, "the connection broke", NULL},
};

/* The line of ssh's output that holds the pattern, else its last line, fit to print. */
static void quote_line(struct er_str *out, const char *said, const char *pattern)
{
        struct er_sv rest = er_sv(said), part, best = {NULL, 0};

        while (er_sv_cut(&rest, '\n', &part)) {
                part = er_sv_trim(part);
                if (part.len == 0 || part.ptr[0] == '@')
                        continue;
                best = part;
                if (pattern && memmem(part.ptr, part.len, pattern, strlen(pattern)))
                        break;
        }
        if (er_sv_starts(best, ER_SV("ssh: ")))
                best = er_svn(best.ptr + 5, best.len - 5);
        if (best.len > LINE_MAX_SHOWN)
                best.len = LINE_MAX_SHOWN;
        if (best.len)
                er_quote_show(out, best.ptr, best.len);
}

/* The command by which an old key is forgotten: some builds of ssh print it, with the file and the name that fit. */
static bool hint_from_ssh(const char *said, struct er_err *err)
{
        struct er_sv rest = er_sv(said), part;

        while (er_sv_cut(&rest, '\n', &part)) {
                er_auto(er_str) line = ER_STR_INIT;

                part = er_sv_trim(part);
                if (!er_sv_starts(part, ER_SV("ssh-keygen ")) || part.len > 300)
                        continue;
                er_quote_show(&line, part.ptr, part.len);
                er_err_hint(err,
                            "someone may be intercepting the connection, or the machine was reinstalled; if you know "
                            "that it was, forget the old key: %s",
                            line.buf);
                return true;
        }
        return false;
}

/* What to type after "ssh" to reach the same host (owned). */
static char *way_to(const struct er_host *host, const char *target)
{
        er_auto(er_str) words = ER_STR_INIT;

        if (host->jump) {
                er_str_add(&words, "-J ");
                er_quote_sh(&words, host->jump);
                er_str_addc(&words, ' ');
        }
        if (host->identity) {
                er_str_add(&words, "-i ");
                er_quote_sh(&words, host->identity);
                er_str_addc(&words, ' ');
        }
        if (host->port)
                er_str_addf(&words, "-p %d ", host->port);
        er_str_add(&words, target);
        return er_strdup(words.buf);
}

bool er_ssh_explain(const struct er_host *host, bool interactive, const char *said, int status, struct er_err *err)
{
        er_auto(er_str) line = ER_STR_INIT;
        const struct complaint *found = NULL;
        const char *target = host->target ? host->target : host->name;

        for (size_t i = 0; i < ER_LEN(complaints) && !found; i++)
                if (strstr(said, complaints[i].pattern))
                        found = &complaints[i];
        quote_line(&line, said, found ? found->pattern : NULL);
        if (!found) {
                if (line.len)
                        er_err_set(err, ER_TRANSPORT, "%s: the connection broke (ssh: %s)", host->name, line.buf);
                else if (status >= 0)
                        er_err_set(err, ER_TRANSPORT, "%s: the connection broke (ssh ended with status %d)", host->name,
                                   status);
                else
                        er_err_set(err, ER_TRANSPORT, "%s: the connection broke", host->name);
                er_err_retry(err);
                return false;
        }
        er_err_set(err, found->code, "%s: %s (ssh: %s)", host->name, found->meaning, line.buf);
        if (found->hint && !(found->code == ER_HOSTKEY && hint_from_ssh(said, err))) {
                /* ssh-keygen knows a host at another port as [host]:port, and no user. */
                const char *at = strrchr(target, '@'), *bare = at ? at + 1 : target;
                er_autofree char *place = NULL;
                const char *hole = strstr(found->hint, "%s");

                if (strstr(found->hint, "ssh-keygen"))
                        place = host->port ? er_fmt("'[%s]:%d'", bare, host->port) : er_strdup(bare);
                else
                        place = way_to(host, target);
                if (hole)
                        er_err_hint(err, "%.*s%s%s", (int)(hole - found->hint), found->hint, place, hole + 2);
                else
                        er_err_hint(err, "%s", found->hint);
        }
        if (found->code == ER_AUTH && !interactive && strstr(said, "password"))
                er_err_hint(err,
                            "it asks for a password, which can only be typed at a terminal; run `ssh-copy-id %s` once "
                            "to do without",
                            target);
        if (found->retryable)
                er_err_retry(err);
        return found->momentary;
}

enum er_ssh_way er_ssh_way(const char *config)
{
        struct er_sv rest = er_sv(config), line;

        while (er_sv_cut(&rest, '\n', &line)) {
                struct er_sv value = line, word;
                const char *slash;

                if (!er_sv_cut(&value, ' ', &word) || value.len == 0 || er_sv_eq(value, ER_SV("none")))
                        continue;
                if (er_sv_eq(word, ER_SV("proxyjump")))
                        return ER_WAY_JUMP;
                if (!er_sv_eq(word, ER_SV("proxycommand")))
                        continue;
                if (er_sv_starts(value, ER_SV("exec ")))
                        value = er_svn(value.ptr + 5, value.len - 5);
                er_sv_cut(&value, ' ', &word);
                slash = memrchr(word.ptr, '/', word.len);
                if (slash)
                        word = er_svn(slash + 1, word.len - (size_t)(slash + 1 - word.ptr));
                return er_sv_eq(word, ER_SV("ssh")) ? ER_WAY_JUMP : ER_WAY_COMMAND;
        }
        return ER_WAY_STRAIGHT;
}

/* What our own ssh adds when the way comes to an end, and what it says of its configuration. */
static bool is_own_line(struct er_sv line)
{
        static const char *const starts[] = {"kex_exchange_identification",
                                             "ssh_exchange_identification",
                                             "Connection closed by",
                                             "Connection reset by",
                                             "Connection to ",
                                             "banner exchange",
                                             "Warning: Permanently added",
                                             "Killed by signal",
                                             "command-line line "};
        static const char *const parts[] = {"Unsupported option", "Deprecated option"};

        for (size_t i = 0; i < ER_LEN(starts); i++)
                if (er_sv_starts(line, er_sv(starts[i])))
                        return true;
        for (size_t i = 0; i < ER_LEN(parts); i++)
                if (memmem(line.ptr, line.len, parts[i], strlen(parts[i])))
                        return true;
        return false;
}

/* The last lines of what the way said, as one, in a form fit to be shown. */
static void quote_way(struct er_str *out, const char *said)
{
        struct er_sv rest = er_sv(said), part, last[WAY_LINES];
        size_t count = 0, len = 0;

        while (er_sv_cut(&rest, '\n', &part)) {
                part = er_sv_trim(part);
                if (part.len && !is_own_line(part))
                        last[count++ % WAY_LINES] = part;
        }
        for (size_t i = count > WAY_LINES ? count - WAY_LINES : 0; i < count; i++) {
                part = last[i % WAY_LINES];
                if (len + part.len > LINE_MAX_SHOWN)
                        part.len = LINE_MAX_SHOWN - len;
                len += part.len;
                if (part.len == 0)
                        break;
                if (out->len)
                        er_str_add(out, " | ");
                er_quote_show(out, part.ptr, part.len);
        }
}

bool er_ssh_explain_way(const struct er_host *host, enum er_ssh_way way, bool interactive, const char *said, int status,
                        struct er_err *err)
{
        er_autofree char *typed = way_to(host, host->target ? host->target : host->name);
        er_auto(er_str) words = ER_STR_INIT;
        er_auto(er_err) plain = ER_ERR_INIT;
        bool momentary = er_ssh_explain(host, interactive, said, status, &plain);

        if (way == ER_WAY_STRAIGHT || plain.code != ER_TRANSPORT) {
                er_err_move(err, &plain);
                return momentary;
        }
        quote_way(&words, said);
        /* A jump host's banner is among the words, too: only what ssh says when it gets no further counts. */
        if (words.len && (way == ER_WAY_COMMAND || strstr(said, "open failed") || strstr(said, "stdio forwarding"))) {
                er_err_set(err, ER_NET, "%s: the %s on the way to it says: %s", host->name,
                           way == ER_WAY_JUMP ? "jump host" : "ProxyCommand", words.buf);
                er_err_hint(err, "try `ssh %s true`", typed);
                return false;
        }
        er_err_move(err, &plain);
        if (way == ER_WAY_COMMAND)
                err->code = ER_NET; /* a program that ends so at every try is no host that has too many logins */
        er_err_hint(err, "the %s on the way to it did not say why; try `ssh -v %s true`",
                    way == ER_WAY_JUMP ? "jump host" : "ProxyCommand", typed);
        return momentary;
}
