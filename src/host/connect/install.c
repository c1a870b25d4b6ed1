/* install.c - putting errand-agent on a host over ssh: all it takes there is a POSIX shell and a stream of bytes. */
#include "host/connect/install.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "host/connect/agent_blob.h"
#include "host/connect/agent_program.h"
#include "host/connect/link.h"
#include "host/connect/ssh_open.h"

#define ANSWER_MAX (64u * 1024)
#define STALL_MS 60000 /* give up when no byte has moved for so long */

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/*
 * Runs as  sh -c SCRIPT errand-install ROOT BUILD  in the home directory. It says what machine this is, then reads a
 * line with the size, and that many bytes to the end. It is one line, without single quotes, "!" or a backslash before
 * a quote, because it passes through whatever login shell the user has (csh and fish quote in their own ways).
 *
 * The copy is written under another name, checked, tried, and renamed, so that two processes doing this at once both
 * succeed. Agents of other builds are removed once they are a month old and no process runs them.
 */
static const char script[] =
        "umask 077; fail() { rm -f \"$t\"; echo \"errand-fail $*\"; exit 1; }; t=; echo; echo \"errand-arch $(uname "
        "-s) $(uname -m)\"; d=$1/bin; n=errand-agent-$2; e=$(mkdir -p \"$d\" 2>&1) || fail mkdir $e; read -r size || "
        "exit 1; t=$d/.$n.$$; e=$( (cat >\"$t\") 2>&1) || fail write $e; s=$(wc -c <\"$t\"); [ \"$((s))\" = \"$size\" "
        "] || fail size $((s)) of $size bytes arrived $e; e=$(chmod 700 \"$t\" 2>&1) || fail write $e; e=$(\"$t\" "
        "version 2>&1 >/dev/null </dev/null) || fail run $e; e=$(mv -f \"$t\" \"$d/$n\" 2>&1) || fail write $e; echo "
        "errand-ok; cd \"$d\" || exit 0; for f in $(find . -name \"errand-agent-*\" -mtime +30 2>/dev/null); do case "
        "$f in ./$n) continue;; esac; ls -l /proc/[0-9]*/exe 2>/dev/null | grep -q -F \"/${f##*/}\" || rm -f \"$f\"; "
        "done";

static char *install_command(const struct er_host *host)
{
        er_auto(er_str) command = ER_STR_INIT;

        er_str_add(&command, "cd; sh -c "); /* the home directory, as in agent_program.c */
        er_quote_sh(&command, script);
        er_str_add(&command, " errand-install ");
        er_quote_sh(&command, er_agent_remote_root(host));
        er_str_addf(&command, " %s", er_agent_build);
        return er_str_detach(&command);
}

/* The conversation with the script. */
struct talk {
        const struct er_connect *connect;
        struct er_link *link;
        struct er_str answer; /* everything it printed */
        struct er_str head;   /* the line sent before the bytes */
        struct er_sv agent;   /* what is left to send */
        bool sending;
};

/* The text after the first line that begins with `word`; ptr NULL: there is none (yet). */
static struct er_sv find_line(const struct er_str *answer, const char *word)
{
        struct er_sv rest = er_svn(answer->buf, answer->len), part;

        while (er_sv_cut(&rest, '\n', &part)) {
                /* Only a complete line counts. */
                if (rest.ptr && er_sv_starts(part, er_sv(word)))
                        return er_sv_trim(er_svn(part.ptr + strlen(word), part.len - strlen(word)));
        }
        return er_svn(NULL, 0);
}

/* Once the machine is known: picks its agent, or says why there is none. */
static int choose_agent(struct talk *talk, struct er_err *err)
{
        struct er_sv machine = find_line(&talk->answer, "errand-arch"), system;
        er_autofree char *arch = NULL;

        if (!machine.ptr || talk->sending)
                return 0;
        er_sv_cut(&machine, ' ', &system);
        arch = machine.ptr ? er_sv_dup(er_sv_trim(machine)) : er_strdup("");
        if (!er_sv_eq(system, ER_SV("Linux")))
                return er_err_set(err, ER_REMOTE, "%s runs %.*s; errand-agent needs Linux", talk->connect->host->name,
                                  (int)(system.len < 40 ? system.len : 40), system.ptr);
        talk->agent = er_agent_for(arch);
        if (talk->agent.len == 0)
                return er_err_set(err, ER_REMOTE, "%s is a %.40s machine; this build of errand has no agent for it",
                                  talk->connect->host->name, arch);
        er_str_addf(&talk->head, "%zu\n", talk->agent.len);
        talk->sending = true;
        return 0;
}

/* Sends what can be sent now. A script that has stopped reading says why on its output. */
static void feed(struct talk *talk)
{
        while (talk->sending && talk->link->to >= 0) {
                bool head = talk->head.len > 0;
                ssize_t n = head ? send(talk->link->to, talk->head.buf, talk->head.len, MSG_NOSIGNAL)
                                 : send(talk->link->to, talk->agent.ptr, talk->agent.len, MSG_NOSIGNAL);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return;
                if (n < 0) {
                        er_close(&talk->link->to);
                        return;
                }
                if (head) {
                        er_str_drop(&talk->head, (size_t)n);
                } else {
                        talk->agent.ptr += n;
                        talk->agent.len -= (size_t)n;
                }
                if (talk->head.len == 0 && talk->agent.len == 0)
                        er_close(&talk->link->to); /* the end of the file */
        }
}

/* False at the end. */
static bool hear(struct talk *talk)
{
        char buf[4096];
        ssize_t n = read(talk->link->from, buf, sizeof buf);

        if (n > 0 && talk->answer.len < ANSWER_MAX)
                er_str_addn(&talk->answer, buf, (size_t)n);
        if (n > 0)
                er_close(&talk->link->turn);
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

static int converse(struct talk *talk, struct er_err *err)
{
        struct er_link *link = talk->link;

        for (;;) {
                struct pollfd p[4] = {
                        {.fd = link->from, .events = POLLIN},
                        {.fd = link->errs, .events = POLLIN},
                        {.fd = talk->sending ? link->to : -1, .events = POLLOUT},
                        {.fd = talk->connect->cancel ? talk->connect->cancel->fds[0] : -1, .events = POLLIN},
                };
                int n = poll(p, 4, STALL_MS);

                if (n == 0) {
                        er_err_set(err, ER_TIMEOUT, "%s: sending errand-agent has made no progress for %d s",
                                   talk->connect->host->name, STALL_MS / 1000);
                        return er_err_retry(err);
                }
                if (p[3].revents)
                        return er_connect_cancelled(talk->connect, err) ? -1
                                                                        : er_err_set(err, ER_CANCELLED, "cancelled");
                if (p[1].revents)
                        er_link_read_errs(link);
                if (p[0].revents && !hear(talk))
                        return 0;
                if (choose_agent(talk, err) < 0)
                        return -1;
                if (p[2].revents)
                        feed(talk);
        }
}

/* What can go wrong there, by what mkdir, cat and the shell print. */
static const struct {
        const char *words, *meaning, *hint;
} reasons[] = {
        {"ead-only file system", "its home directory is read-only",
         "use another directory there: errand hosts add NAME %s --root DIR"},
        {"o space left", "its disk is full", "free some space there: at least 10 MB"},
        {"uota exceeded", "your disk quota there is used up", "free some space there: at least 10 MB"},
        {"ermission denied", "errand may not write to its home directory",
         "check the owner and mode of the home directory and of .errand there, or use another directory: errand hosts "
         "add NAME %s --root DIR"},
        {"o such file or directory", "its home directory does not exist",
         "have it created, or use another directory: errand hosts add NAME %s --root DIR"},
};

static int explain_failure(const struct er_connect *connect, struct er_sv failure, struct er_err *err)
{
        const struct er_host *host = connect->host;
        er_auto(er_str) words = ER_STR_INIT;
        er_autofree char *text = er_sv_dup(failure);
        const char *detail;

        /* The first word names the step; the rest is what the system said. */
        detail = strchr(text, ' ') ? strchr(text, ' ') + 1 : text;
        er_quote_show(&words, detail, strnlen(detail, 300));
        if (er_starts(text, "size")) {
                er_err_set(err, ER_TRANSPORT, "%s: errand-agent arrived incomplete (%s)", host->name, words.buf);
                return er_err_retry(err);
        }
        if (er_starts(text, "run")) {
                er_err_set(err, ER_REMOTE, "%s: errand-agent cannot be executed there (%s)", host->name, words.buf);
                return er_err_hint(err,
                                   "is the home directory there mounted noexec? Use another directory: errand hosts "
                                   "add NAME %s --root DIR",
                                   host->target);
        }
        for (size_t i = 0; i < ER_LEN(reasons); i++) {
                const char *hole;

                if (!strstr(text, reasons[i].words))
                        continue;
                er_err_set(err, ER_REMOTE, "%s: cannot install errand-agent: %s (%s)", host->name, reasons[i].meaning,
                           words.buf);
                hole = strstr(reasons[i].hint, "%s");
                if (hole)
                        return er_err_hint(err, "%.*s%s%s", (int)(hole - reasons[i].hint), reasons[i].hint,
                                           host->target, hole + 2);
                return er_err_hint(err, "%s", reasons[i].hint);
        }
        return er_err_set(err, ER_REMOTE, "%s: cannot install errand-agent (%s)", host->name, words.buf);
}

/* The script reported neither success nor failure. */
static int explain_silence(const struct talk *talk, int status, struct er_err *err)
{
        const struct er_host *host = talk->connect->host;
        struct er_sv out = er_sv_trim(er_svn(talk->answer.buf, talk->answer.len));
        struct er_sv errs = er_sv_trim(er_svn(talk->link->said.buf, talk->link->said.len));
        er_auto(er_str) words = ER_STR_INIT;

        if (out.len == 0)
                out = errs;
        er_quote_show(&words, out.ptr ? out.ptr : "", out.len < 300 ? out.len : 300);
        if (status < 0) {
                er_err_set(err, ER_TRANSPORT, "%s: the connection broke while errand-agent was being sent", host->name);
                return er_err_retry(err);
        }
        if (words.len)
                er_err_set(err, ER_REMOTE, "%s: cannot run commands there; the login shell says: %s", host->name,
                           words.buf);
        else
                er_err_set(err, ER_REMOTE, "%s: cannot run commands there; the login shell ended with status %d",
                           host->name, status);
        return er_err_hint(err, "does `ssh %s true` work?", host->target);
}

static int judge(struct talk *talk, struct er_err *err)
{
        struct er_sv failure = find_line(&talk->answer, "errand-fail");
        int status;

        if (find_line(&talk->answer, "errand-ok").ptr)
                return 0;
        if (failure.ptr)
                return explain_failure(talk->connect, failure, err);
        er_link_drain_errs(talk->link, er_deadline_in(1000));
        status = talk->link->transport->status(talk->link, er_deadline_in(2000));
        return explain_silence(talk, status, err);
}

int er_install(const struct er_connect *connect, struct er_err *err)
{
        er_autofree char *command = install_command(connect->host);
        struct er_link link = ER_LINK_INIT;
        struct talk talk = {.connect = connect, .link = &link, .answer = ER_STR_INIT, .head = ER_STR_INIT};
        int rc;

        er_connect_note(connect, "%s: installing errand-agent", connect->host->name);
        rc = er_ssh_open(connect, command, &link, err);
        if (rc == 0)
                rc = converse(&talk, err);
        if (rc == 0)
                rc = judge(&talk, err);
        er_link_release(&link);
        er_str_release(&talk.answer);
        er_str_release(&talk.head);
        er_debug("host", "%s: installing ended with %d", connect->host->name, rc);
        return rc;
}
