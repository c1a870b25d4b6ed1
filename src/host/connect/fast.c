/* fast.c - see fast.h */
#include "host/connect/fast.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/io.h"
#include "base/map.h"
#include "base/parse.h"
#include "host/connect/agent_blob.h"
#include "host/connect/control.h"
#include "host/connect/mux.h"

#define LINGER_MS 3000 /* how long a listener waits for us */
#define SURE_MS 2500   /* a listener used within this time is still there, unless something went wrong */
#define TOUCH_MS 250   /* how old the note of its last use may become */
#define QUICK_MS 2000  /* sessions that follow each other within this time are worth a listener */
#define ANSWER_MS 1000
#define PAUSE_MS 20000 /* after a refusal by a host where it has never worked */

enum kind {
        KIND_SESSION = 1, /* a session was opened */
        KIND_TOLD = 2,    /* there is a listener */
        KIND_PROVEN = 3,  /* ... and it has been reached */
        KIND_REFUSED = 4,
};

/* The file's content: for this machine and one build only. */
struct note {
        int64_t when_ms;
        int32_t kind;
        int32_t slot;
        char socket[ER_FAST_PATH_MAX];
        char name[ER_FAST_NAME];
};

static int64_t linger(void)
{
        const char *text = getenv("ERRAND_LINGER");
        uint64_t ms = LINGER_MS;

        if (text && text[0])
                er_parse_u64(text, LINGER_MS, &ms, NULL);
        return (int64_t)ms;
}

static void leave_note(struct er_fast *fast, enum kind kind)
{
        struct note note;
        er_autoclose int fd = open(fast->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        if (fd < 0)
                return;
        memset(&note, 0, sizeof note);
        fast->when_ms = note.when_ms = er_mono_ms();
        note.kind = (int32_t)kind;
        note.slot = fast->slot;
        memcpy(note.socket, fast->socket, sizeof note.socket);
        memcpy(note.name, fast->name, sizeof note.name);
        er_pwrite_full(fd, &note, sizeof note, 0);
}

static void make_name(char ret[ER_FAST_NAME])
{
        static const char hex[] = "0123456789abcdef";
        unsigned char bytes[(ER_FAST_NAME - 1) / 2];

        ret[0] = '\0'; /* without a name, no listener is asked for */
        if (getentropy(bytes, sizeof bytes) < 0)
                return;
        for (size_t i = 0; i < sizeof bytes; i++) {
                ret[2 * i] = hex[bytes[i] >> 4];
                ret[2 * i + 1] = hex[bytes[i] & 15];
        }
        ret[ER_FAST_NAME - 1] = '\0';
}

static bool read_note(const char *path, struct note *ret)
{
        er_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd >= 0 && er_pread_full(fd, ret, sizeof *ret, 0) == (ssize_t)sizeof *ret &&
               memchr(ret->socket, '\0', sizeof ret->socket) && memchr(ret->name, '\0', sizeof ret->name) &&
               ret->slot < ER_SLOTS && ret->when_ms <= er_mono_ms();
}

void er_fast_init(struct er_fast *fast, const struct er_host *host)
{
        er_autofree char *master = host->kind == ER_HOST_SSH ? er_control_path(host, 0) : NULL;
        er_auto(er_str) key = ER_STR_INIT;
        er_auto(er_str) suffix = ER_STR_INIT;
        struct note note;
        int64_t linger_ms = linger(), age_ms;

        *fast = (struct er_fast)ER_FAST_INIT;
        if (!master || linger_ms == 0)
                return;
        er_str_addf(&key, "%s\n%s", er_agent_build, host->root ? host->root : "");
        er_str_addf(&suffix, "fast%08llx", (unsigned long long)er_hash64(key.buf, key.len) & 0xffffffffu);
        fast->path = er_control_file(host, suffix.buf);
        if (!read_note(fast->path, &note)) {
                make_name(fast->name);
        } else {
                memcpy(fast->name, note.name, sizeof fast->name);
                age_ms = er_mono_ms() - note.when_ms;
                if ((note.kind == KIND_TOLD || note.kind == KIND_PROVEN) && age_ms < SURE_MS && note.slot >= 0 &&
                    note.socket[0]) {
                        fast->slot = note.slot;
                        fast->proven = note.kind == KIND_PROVEN;
                        fast->when_ms = note.when_ms;
                        memcpy(fast->socket, note.socket, sizeof fast->socket);
                        return;
                }
                if (note.kind == KIND_REFUSED && age_ms < PAUSE_MS)
                        return;
                if (age_ms < QUICK_MS && fast->name[0])
                        fast->linger_ms = linger_ms;
        }
        leave_note(fast, KIND_SESSION);
}

void er_fast_release(struct er_fast *fast)
{
        free(fast->path);
        *fast = (struct er_fast)ER_FAST_INIT;
}

char *er_fast_socket(const struct er_fast *fast, const struct er_host *host)
{
        er_auto(er_str) suffix = ER_STR_INIT;
        char *path;

        er_str_addf(&suffix, "way%d-%08llx", fast->slot,
                    (unsigned long long)er_hash64(fast->socket, strlen(fast->socket)) & 0xffffffffu);
        path = er_control_file(host, suffix.buf);
        if (strlen(path) < ER_FAST_PATH_MAX - 4) /* 104 on other systems */
                return path;
        free(path);
        return NULL;
}

/* A master goes on listening, so this is done once in its life. */
static bool lead_there(const struct er_fast *fast, const struct er_host *host)
{
        er_autofree char *master = er_control_path(host, fast->slot);
        er_autofree char *here = er_fast_socket(fast, host);
        struct er_mux mux = ER_MUX_INIT;
        enum er_mux_answer answer;

        if (!master || !here)
                return false;
        if (access(here, F_OK) == 0)
                return true; /* if a dead master left it, whoever tries it finds out */
        answer = er_mux_listen(&mux, master, here, fast->socket, er_deadline_in(ANSWER_MS), NULL);
        er_mux_release(&mux);
        return answer == ER_MUX_OPENED;
}

void er_fast_told(struct er_fast *fast, const struct er_host *host, int slot, struct er_sv socket)
{
        struct note note;

        if (!fast->path || slot < 0 || socket.len == 0 || socket.len >= sizeof fast->socket)
                return;
        memset(fast->socket, 0, sizeof fast->socket);
        memcpy(fast->socket, socket.ptr, socket.len);
        fast->slot = slot;
        if (lead_there(fast, host)) {
                /* Another process may have reached it by now. */
                if (!read_note(fast->path, &note) || note.kind != KIND_PROVEN || !er_streq(note.socket, fast->socket))
                        leave_note(fast, KIND_TOLD);
        } else {
                memset(fast->socket, 0, sizeof fast->socket);
                leave_note(fast, KIND_REFUSED);
        }
}

void er_fast_worked(struct er_fast *fast)
{
        if (!fast->proven || er_mono_ms() - fast->when_ms >= TOUCH_MS)
                leave_note(fast, KIND_PROVEN);
        fast->proven = true;
}

void er_fast_failed(struct er_fast *fast)
{
        struct note note;

        /* Another process may have noted a newer one by now. */
        if (read_note(fast->path, &note) && memcmp(note.socket, fast->socket, sizeof note.socket) == 0) {
                memset(fast->socket, 0, sizeof fast->socket);
                leave_note(fast, fast->proven ? KIND_SESSION : KIND_REFUSED);
        }
        memset(fast->socket, 0, sizeof fast->socket);
}
