/* download.c - see download.h. The program gets the URL on its standard input, because it may contain a token. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "agent/data/download.h"
#include "base/clock.h"
#include "base/io.h"

#define SAID_MAX (64u * 1024)
#define TICK_MS 200
#define TRIES_MAX 5
#define NO_ROOM (1u << 20) /* with less free than this, a failed write is put down to a full disk */

static void release_facts(struct er_download_facts *facts)
{
        free(facts->version);
        facts->version = NULL;
        facts->size = 0;
        facts->has_size = false;
}

bool er_download_has_tool(const char *name)
{
        const char *path = getenv("PATH");
        struct er_sv rest = er_sv(path ? path : "/usr/local/bin:/usr/bin:/bin"), dir;

        while (er_sv_cut(&rest, ':', &dir)) {
                er_autofree char *full = er_fmt("%.*s/%s", (int)dir.len, dir.ptr, name);

                if (access(full, X_OK) == 0)
                        return true;
        }
        return false;
}

/* --- a program */

static _Noreturn void become(const struct er_download *download, char *const argv[], pid_t parent, int in, int out,
                             int errs)
{
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
                _exit(127);
        signal(SIGPIPE, SIG_DFL);
        if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(errs, 2) == 2 && fchdir(download->dir_fd) == 0)
                execvp(argv[0], argv);
        _exit(127);
}

/* False at its end. */
static bool take(int fd, struct er_str *to)
{
        char bytes[4096];
        ssize_t n = read(fd, bytes, sizeof bytes);

        if (n > 0 && to && to->len + (size_t)n <= SAID_MAX)
                er_str_addn(to, bytes, (size_t)n);
        return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

int er_download_tool(const struct er_download *download, char *const argv[], struct er_sv input, struct er_str *out,
                     struct er_str *said)
{
        int in[2] = {-1, -1}, outs[2] = {-1, -1}, errs[2] = {-1, -1}, status = 0;
        pid_t self = getpid(), pid = -1;

        if (er_pipe(in) == 0 && er_pipe(outs) == 0 && er_pipe(errs) == 0)
                pid = fork();
        if (pid == 0)
                become(download, argv, self, in[0], outs[1], errs[1]);
        er_close(&in[0]);
        er_close(&outs[1]);
        er_close(&errs[1]);
        if (pid > 0) {
                bool open_out = true, open_errs = true;

                if (er_write_full(in[1], input.ptr, input.len) < 0) {
                        /* it has ended: its status says the rest */
                }
                er_close(&in[1]);
                while (open_out || open_errs) {
                        struct pollfd p[2] = {{.fd = open_out ? outs[0] : -1, .events = POLLIN},
                                              {.fd = open_errs ? errs[0] : -1, .events = POLLIN}};

                        poll(p, 2, TICK_MS);
                        if (p[0].revents)
                                open_out = take(outs[0], out);
                        if (p[1].revents)
                                open_errs = take(errs[0], said);
                        if (download->tick)
                                download->tick(download->arg);
                }
                while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        ;
        }
        er_close(&in[1]);
        er_close(&outs[0]);
        er_close(&errs[0]);
        if (pid < 0)
                return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- the programs */

/* Uses curl's exit statuses. */
static const char python_program[] =
        "import os, socket, sys, urllib.error, urllib.request\n"
        "def end(status, text):\n"
        "    sys.stderr.write('error: %s\\n' % text)\n"
        "    sys.exit(status)\n"
        "url = sys.stdin.readline().rstrip('\\n')\n"
        "part = sys.argv[1] if len(sys.argv) > 1 else None\n"
        "have = os.path.getsize(part) if part else 0\n"
        "try:\n"
        "    request = urllib.request.Request(url, headers={'User-Agent': 'errand'}, method=None if part else 'HEAD')\n"
        "    if have:\n"
        "        request.add_header('Range', 'bytes=%d-' % have)\n"
        "    answer = urllib.request.urlopen(request, timeout=60)\n"
        "    if not part:\n"
        "        print('HTTP/1.1 200')\n"
        "        for name, value in answer.headers.items():\n"
        "            print('%s: %s' % (name, value))\n"
        "        sys.exit(0)\n"
        "except urllib.error.HTTPError as e:\n"
        "    end(22, '%d %s' % (e.code, e.reason))\n"
        "except (OSError, ValueError) as e:\n"
        "    end(6, getattr(e, 'reason', e))\n"
        "want = answer.headers.get('Content-Length')\n"
        "try:\n"
        "    file = open(part, 'r+b')\n"
        "    if have and getattr(answer, 'status', None) == 206:\n"
        "        file.seek(have)\n"
        "    else:\n"
        "        file.truncate(0)\n"
        "except OSError as e:\n"
        "    end(23, e)\n"
        "got = 0\n"
        "while True:\n"
        "    try:\n"
        "        data = answer.read(1 << 18)\n"
        "    except Exception as e:\n"
        "        end(56, e)\n"
        "    if not data:\n"
        "        break\n"
        "    try:\n"
        "        file.write(data)\n"
        "        file.flush()\n"
        "    except OSError as e:\n"
        "        end(23, e)\n"
        "    got += len(data)\n"
        "if want and got < int(want):\n"
        "    end(18, 'the connection ended early')\n";

enum trouble {
        REFUSED,  /* the server says no */
        NO_WAY,   /* it cannot be reached from here */
        BROKEN,   /* the connection broke off: continuing may help */
        NO_RANGE, /* it cannot be continued: start again */
        DISK,
        STRANGE,
};

static enum trouble curl_trouble(int status)
{
        switch (status) {
        case 22:
        case 78: /* ftp: no such file */
        case 67: /* ftp: login denied */
        case 9:  /* ftp: access denied */
                return REFUSED;
        case 5:
        case 6:
        case 7:
        case 35:
        case 60:
        case 77:
        case 127:
        case 1: /* this curl does not speak that protocol */
                return NO_WAY;
        case 18:
        case 28:
        case 52:
        case 55:
        case 56:
        case 92:
                return BROKEN;
        case 33:
        case 36:
        case 31: /* ftp: REST */
                return NO_RANGE;
        case 23:
                return DISK;
        default:
                return STRANGE;
        }
}

static enum trouble wget_trouble(int status)
{
        switch (status) {
        case 8:
        case 6:
                return REFUSED;
        case 4:
        case 5:
        case 127:
                return NO_WAY;
        case 3:
                return DISK;
        default:
                return STRANGE;
        }
}

/* Busybox has one exit status for everything: look at its message. */
static enum trouble busybox_trouble(int status)
{
        (void)status;
        return STRANGE;
}

static const struct tool {
        const char *program;
        bool config;                    /* the URL is given as a line of curl configuration */
        bool in_argv;                   /* it takes no URL on standard input */
        const char *look[12], *run[16]; /* followed by PART, and by the URL if in_argv; look[0] NULL: it cannot look */
        enum trouble (*trouble)(int status);
} tools[] = {
        {"curl",
         true,
         false,
         {"curl", "-sSLI", "--globoff", "--netrc-optional", "--connect-timeout", "20", "--max-time", "40", "-K", "-"},
         {"curl", "-fsSL", "--globoff", "--netrc-optional", "--connect-timeout", "20", "--speed-limit", "1",
          "--speed-time", "60", "-C", "-", "-K", "-", "-o"},
         curl_trouble},
        {"wget",
         false,
         false,
         {"wget", "-S", "--spider", "-nv", "-T", "20", "-t", "1", "-i", "-"},
         {"wget", "-nv", "-c", "-T", "60", "-t", "1", "-i", "-", "-O"},
         wget_trouble},
        {"python3", false, false, {"python3", "-c", python_program}, {"python3", "-c", python_program}, curl_trouble},
        {"wget", false, true, {NULL}, {"wget", "-q", "-c", "-T", "60", "-O"}, busybox_trouble},
};
#define BUSYBOX_WGET 3

static bool is_gnu_wget(const struct er_download *download)
{
        char *argv[] = {er_strdup("wget"), er_strdup("--version"), NULL};
        er_auto(er_str) out = ER_STR_INIT;
        bool gnu = er_download_tool(download, argv, er_svn("", 0), &out, NULL) == 0 && strstr(out.buf, "GNU");

        free(argv[0]);
        free(argv[1]);
        return gnu;
}

static const struct tool *choose(const struct er_download *download)
{
        bool wget = false;

        for (size_t i = 0; i < BUSYBOX_WGET; i++) {
                if (!er_download_has_tool(tools[i].program))
                        continue;
                if (!er_streq(tools[i].program, "wget") || is_gnu_wget(download))
                        return &tools[i];
                wget = true;
        }
        return wget ? &tools[BUSYBOX_WGET] : NULL;
}

static int no_tool(struct er_err *err)
{
        er_err_set(err, ER_NET, "this host has none of curl, wget and python3");
        if (err)
                err->provider_code = er_strdup("tool");
        return er_err_hint(err, "install one of them there, for example curl");
}

static int run(const struct er_download *download, const struct tool *tool, const char *const *words, const char *part,
               struct er_str *out, struct er_str *said)
{
        er_auto(er_strv) argv = ER_STRV_INIT;
        er_auto(er_str) input = ER_STR_INIT;

        for (; *words; words++)
                er_strv_add(&argv, *words);
        if (part)
                er_strv_addf(&argv, "./%s", part);
        if (tool->in_argv)
                er_strv_add(&argv, download->url);
        if (tool->config) {
                er_str_add(&input, "url = \"");
                for (const char *p = download->url; *p; p++)
                        er_str_addf(&input, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
                er_str_add(&input, "\"\n");
        } else
                er_str_addf(&input, "%s\n", download->url);
        return er_download_tool(download, argv.items, er_svn(input.buf, input.len), out, said);
}

/* --- what the server says */

static bool header(struct er_sv line, const char *name, struct er_sv *ret)
{
        size_t len = strlen(name);

        if (line.len <= len || strncasecmp(line.ptr, name, len) != 0 || line.ptr[len] != ':')
                return false;
        *ret = er_sv_trim(er_svn(line.ptr + len + 1, line.len - len - 1));
        return true;
}

/* Reads the headers of the last answer, after all redirects. */
static void read_headers(const struct er_str *text, struct er_download_facts *ret)
{
        struct er_sv rest = er_svn(text->buf, text->len), line, value;
        bool good = true, has_etag = false;

        while (er_sv_cut(&rest, '\n', &line)) {
                line = er_sv_trim(line);
                if (er_sv_starts(line, ER_SV("HTTP/"))) {
                        const char *space = memchr(line.ptr, ' ', line.len);

                        release_facts(ret);
                        has_etag = false;
                        good = space && (size_t)(line.ptr + line.len - space) > 1 && space[1] == '2';
                } else if (good && header(line, "Content-Length", &value) && value.len > 0 && value.len < 20) {
                        ret->size = 0;
                        ret->has_size = true;
                        for (size_t i = 0; i < value.len; i++) {
                                ret->has_size = ret->has_size && value.ptr[i] >= '0' && value.ptr[i] <= '9';
                                ret->size = ret->size * 10 + (uint64_t)(value.ptr[i] - '0');
                        }
                } else if (good &&
                           (header(line, "ETag", &value) || (!has_etag && header(line, "Last-Modified", &value)))) {
                        has_etag = has_etag || line.ptr[0] == 'E' || line.ptr[0] == 'e';
                        free(ret->version);
                        ret->version = er_sv_dup(value);
                }
        }
}

/* The URL without anything that may be secret. */
static void show(const char *url, struct er_str *out)
{
        const char *scheme = strstr(url, "://"), *host = scheme ? scheme + 3 : url, *end = host + strcspn(host, "/?#");
        const char *at = memrchr(host, '@', (size_t)(end - host));
        size_t query = strcspn(url, "?");

        if (at && (size_t)(at - url) < query)
                er_str_addf(out, "%.*s%.*s", (int)(host - url), url, (int)(query - (size_t)(at + 1 - url)), at + 1);
        else
                er_str_addn(out, url, query);
}

/* The last line the program printed, without its own name. */
static struct er_sv last_words(const struct er_str *said)
{
        struct er_sv rest = er_svn(said->buf, said->len), line, last = er_svn("", 0);

        while (er_sv_cut(&rest, '\n', &line))
                if (er_sv_trim(line).len > 0)
                        last = er_sv_trim(line);
        if (er_sv_starts(last, ER_SV("curl: (")) && memchr(last.ptr, ')', last.len)) {
                const char *end = memchr(last.ptr, ')', last.len);

                last = er_sv_trim(er_svn(end + 1, last.len - (size_t)(end + 1 - last.ptr)));
        } else if (er_sv_starts(last, ER_SV("wget: ")))
                last = er_svn(last.ptr + 6, last.len - 6);
        else if (er_sv_starts(last, ER_SV("error: ")))
                last = er_svn(last.ptr + 7, last.len - 7);
        return last;
}

/* "... error: 404", "ERROR 404: Not Found", "error: HTTP/1.1 404 Not Found"; 0: no HTTP status in it. */
static int http_status(const struct er_str *said)
{
        const char *p = strstr(said->buf, "rror");

        if (!p)
                p = strstr(said->buf, "RROR");
        for (; p && *p; p++) {
                if (p[0] < '4' || p[0] > '5' || (p[-1] >= '0' && p[-1] <= '9'))
                        continue;
                if (p[1] >= '0' && p[1] <= '9' && p[2] >= '0' && p[2] <= '9' && !(p[3] >= '0' && p[3] <= '9'))
                        return (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
        }
        return 0;
}

static int refused(const struct er_download *download, int http, const struct er_str *said, struct er_err *err)
{
        er_auto(er_str) url = ER_STR_INIT;
        struct er_sv words = last_words(said);

        show(download->url, &url);
        if (http == 404 || http == 410) {
                er_err_set(err, ER_NOT_FOUND, "there is nothing at %s (%d)", url.buf, http);
                er_err_hint(err, "check the address");
        } else if (http == 401 || http == 403) {
                er_err_set(err, ER_AUTH, "the server denies access to %s (%d)", url.buf, http);
                er_err_hint(err, "does it need a login or a token? errand reads ~/.netrc on the host; or download it "
                                 "here and send it: errand data PATH");
        } else if (http)
                er_err_set(err, ER_REMOTE, "the server answered %d to the request for %s", http, url.buf);
        else
                er_err_set(err, ER_REMOTE, "%s: %.*s", url.buf, (int)words.len, words.ptr);
        if (err) {
                err->http_status = http;
                err->retryable = http == 429 || http >= 500;
        }
        return -1;
}

static int no_way(const struct er_download *download, const struct er_str *said, struct er_err *err)
{
        er_auto(er_str) url = ER_STR_INIT;
        struct er_sv words = last_words(said);

        show(download->url, &url);
        er_err_set(err, ER_NET, "%s: %.*s", url.buf, (int)words.len, words.len ? words.ptr : "");
        if (err)
                err->provider_code = er_strdup("network");
        return -1;
}

static enum trouble understand(const struct tool *tool, int status, const struct er_str *said)
{
        enum trouble trouble = tool->trouble(status);

        if (http_status(said) == 416 || strstr(said->buf, "Refusing to truncate"))
                return NO_RANGE;
        if (strstr(said->buf, "No space left") || strstr(said->buf, "quota exceeded"))
                return DISK;
        if (trouble == STRANGE && tool->in_argv) {
                if (http_status(said))
                        return REFUSED;
                return strstr(said->buf, "bad address") || strstr(said->buf, "can't connect") ? NO_WAY : BROKEN;
        }
        return trouble == REFUSED && http_status(said) >= 500 ? BROKEN : trouble;
}

int er_download_look(const struct er_download *download, struct er_download_facts *ret, struct er_err *err)
{
        const struct tool *tool = choose(download);
        er_auto(er_str) out = ER_STR_INIT;
        er_auto(er_str) said = ER_STR_INIT;
        int status;

        if (!tool)
                return no_tool(err);
        if (!tool->look[0])
                return 0;
        status = run(download, tool, tool->look, NULL, &out, &said);
        if (status != 0 && understand(tool, status, &said) == NO_WAY)
                return no_way(download, &said, err);
        read_headers(er_streq(tool->program, "wget") ? &said : &out, ret);
        return 0; /* a server may not answer HEAD: we will see with the file itself */
}

static uint64_t size_of(const struct er_download *download)
{
        struct stat st;

        return fstatat(download->dir_fd, download->part, &st, 0) == 0 ? (uint64_t)st.st_size : 0;
}

static int begin_anew(const struct er_download *download)
{
        er_autoclose int fd = openat(download->dir_fd, download->part, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -1 : 0;
}

static int disk(const struct er_download *download, const struct er_str *said, struct er_err *err)
{
        struct er_sv words = last_words(said);
        struct statvfs fs;

        if (strstr(said->buf, "No space left") ||
            (fstatvfs(download->dir_fd, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < NO_ROOM)) {
                begin_anew(download); /* a full disk harms every job there */
                return er_agent_fail(download->agent, ENOSPC, err, "download");
        }
        return er_err_set(err, ER_IO, "writing the download: %.*s", (int)words.len, words.ptr);
}

int er_download_run(const struct er_download *download, const struct er_download_facts *facts, struct er_err *err)
{
        const struct tool *tool = choose(download);
        bool anew = false;

        if (!tool)
                return no_tool(err);
        for (int tries = 1;; tries++) {
                uint64_t before = size_of(download), after;
                er_auto(er_str) said = ER_STR_INIT;
                enum trouble trouble = BROKEN;
                int status = 0;

                if (facts->has_size && before == facts->size)
                        return 0;
                if (facts->has_size && before > facts->size && begin_anew(download) < 0)
                        return er_err_errno(err, errno, "write %s", download->part);
                status = run(download, tool, tool->run, download->part, NULL, &said);
                after = size_of(download);
                if (status == 0 && (!facts->has_size || after == facts->size))
                        return 0;
                if (status != 0)
                        trouble = understand(tool, status, &said);
                else if (after > facts->size)
                        trouble = NO_RANGE; /* the whole file was appended to what was there */
                else
                        er_str_add(&said, "the connection ended early");
                if (after > before)
                        tries = 1; /* as long as it makes progress */
                if (trouble == NO_WAY && after > 0)
                        trouble = BROKEN; /* it was reached before */
                switch (trouble) {
                case REFUSED:
                        return refused(download, http_status(&said), &said, err);
                case NO_WAY:
                        return no_way(download, &said, err);
                case NO_RANGE:
                        if (anew || begin_anew(download) < 0)
                                return refused(download, 0, &said, err);
                        anew = true;
                        continue;
                case DISK:
                        return disk(download, &said, err);
                case BROKEN:
                case STRANGE:
                        if (tries < (trouble == BROKEN ? TRIES_MAX : 2))
                                break;
                        if (http_status(&said))
                                return refused(download, http_status(&said), &said, err);
                        return no_way(download, &said, err);
                }
                for (int i = 0; i < tries * 1000 / TICK_MS; i++) {
                        poll(NULL, 0, TICK_MS);
                        if (download->tick)
                                download->tick(download->arg);
                }
        }
}
