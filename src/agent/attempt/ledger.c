/* ledger.c - see ledger.h */
#include "agent/attempt/ledger.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "agent/attempt/machine_dir.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"

#define MAGIC UINT64_C(0x314c44524e415245) /* "ERANRDL1" */
#define HEADER_SIZE 64u
#define SLOTS_MAX 65536u
#define OWNER_BASE 4096

enum slot_state { FREE = 0, WAITING = 1, RUNNING = 2 };

/* As they lie in the file. */
struct header {
        uint64_t magic, next, slots, zeros[5];
};
struct slot {
        uint64_t number;
        uint32_t state, cpus;
        uint64_t memory, gpu_mask;
        uint32_t gpus, pid;
        uint64_t shared, allowed, zeros[1];
};
_Static_assert(sizeof(struct header) == HEADER_SIZE && sizeof(struct slot) == 64, "the ledger's layout");

struct book {
        int fd;
        uint64_t next;
        uint32_t len;
        struct slot *slots; /* (owned) */
};

void er_capacity_read(struct er_capacity *ret)
{
        const char *pretended = getenv("ERRAND_CPUS"); /* for tests, and for users who want to leave some cpus alone */
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        uint64_t number;
        cpu_set_t set;

        *ret = (struct er_capacity){.cpus = 1};
        if (pretended && er_parse_u64(pretended, 1000000, &number, NULL) == 0 && number > 0) {
                ret->cpus = (uint32_t)number;
        } else if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
                ret->cpus = (uint32_t)CPU_COUNT(&set);
        } else {
                long online = sysconf(_SC_NPROCESSORS_ONLN);

                if (online > 0)
                        ret->cpus = (uint32_t)online;
        }
        if (pages > 0 && page > 0)
                ret->memory = (uint64_t)pages * (uint64_t)page;
}

void er_capacity_gpus(struct er_capacity *capacity, const struct er_gpus *gpus)
{
        capacity->gpu_mask = er_gpus_visible(gpus, gpus->amd ? NULL : getenv("CUDA_VISIBLE_DEVICES"));
        capacity->gpu_used = er_gpus_used(gpus, capacity->gpu_rank);
        capacity->gpus_hidden = (unsigned)gpus->len - (unsigned)__builtin_popcountll(capacity->gpu_mask);
        capacity->gpus_silent = gpus->silent;
}

int er_capacity_check(const struct er_needs *needs, const struct er_capacity *capacity, const char *hostname,
                      struct er_err *err)
{
        er_auto(er_str) want = ER_STR_INIT;
        er_auto(er_str) have = ER_STR_INIT;

        if (needs->cpus > capacity->cpus) {
                er_str_addf(&want, "%u cpus", (unsigned)needs->cpus);
                er_str_addf(&have, "%u", (unsigned)capacity->cpus);
        } else if (needs->memory > capacity->memory) {
                er_fmt_size(&want, needs->memory);
                er_str_add(&want, " of memory");
                er_fmt_size(&have, capacity->memory);
        } else if (needs->gpus > (unsigned)__builtin_popcountll(capacity->gpu_mask)) {
                er_str_addf(&want, "%u GPU%s", (unsigned)needs->gpus, needs->gpus == 1 ? "" : "s");
                er_str_addf(&have, "%d", __builtin_popcountll(capacity->gpu_mask));
                if (capacity->gpus_hidden > 0)
                        er_str_addf(&have, " (CUDA_VISIBLE_DEVICES of the login there hides %u)",
                                    capacity->gpus_hidden);
        } else {
                return 0;
        }
        if (capacity->gpus_silent && needs->cpus <= capacity->cpus && needs->memory <= capacity->memory) {
                er_err_set(err, ER_CAPACITY, "the job needs %s, but nvidia-smi of %s gives no answer", want.buf,
                           hostname);
                return er_err_hint(err, "see what it says there: errand ssh HOST nvidia-smi");
        }
        er_err_set(err, ER_CAPACITY, "the job needs %s, but %s has %s", want.buf, hostname, have.buf);
        return er_err_hint(err, "ask for less, or choose another host: errand hosts shows what each has");
}

/* --- the file */

static int lock_byte(int fd, int command, short type, off_t byte)
{
        struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
        int rc;

        do
                rc = fcntl(fd, command, &lock);
        while (rc < 0 && errno == EINTR);
        return command == F_OFD_GETLK && rc == 0 ? lock.l_type : rc;
}

/* Somebody else's process that stops while it holds the lock must not stop the whole machine: after some seconds we
   give up. */
static bool lock_book(int fd)
{
        er_deadline deadline = er_deadline_in(5000);

        while (lock_byte(fd, F_OFD_SETLK, F_WRLCK, 0) < 0) {
                if ((errno != EAGAIN && errno != EACCES) || er_deadline_poll_ms(deadline) == 0)
                        return false;
                usleep(100 + (useconds_t)(er_mono_us() & 127));
        }
        return true;
}

static void unlock_book(int fd)
{
        lock_byte(fd, F_OFD_SETLK, F_UNLCK, 0);
}

/* Reads the ledger, under the lock. A file of another format is started afresh. `own`: our slot, whose lock we cannot
   see because it is ours. */
static void read_book(struct book *book, int fd, int64_t own)
{
        struct header header = {0};

        *book = (struct book){.fd = fd, .next = 1};
        if (er_pread_full(fd, &header, sizeof header, 0) != (ssize_t)sizeof header || le64toh(header.magic) != MAGIC)
                return;
        book->next = le64toh(header.next);
        book->len = le64toh(header.slots) > SLOTS_MAX ? SLOTS_MAX : (uint32_t)le64toh(header.slots);
        book->slots = er_calloc(book->len, sizeof *book->slots);
        if (er_pread_full(fd, book->slots, book->len * sizeof *book->slots, HEADER_SIZE) < 0)
                book->len = 0;
        for (uint32_t i = 0; i < book->len; i++) {
                struct slot *s = &book->slots[i];

                s->number = le64toh(s->number);
                s->state = le32toh(s->state);
                s->cpus = le32toh(s->cpus);
                s->memory = le64toh(s->memory);
                s->gpu_mask = le64toh(s->gpu_mask);
                s->gpus = le32toh(s->gpus);
                s->shared = le64toh(s->shared);
                s->allowed = le64toh(s->allowed);
                if (s->state != FREE && (int64_t)i != own &&
                    lock_byte(fd, F_OFD_GETLK, F_WRLCK, OWNER_BASE + (off_t)i) == F_UNLCK)
                        s->state = FREE;
        }
}

static int write_header(const struct book *book)
{
        struct header header = {.magic = htole64(MAGIC), .next = htole64(book->next), .slots = htole64(book->len)};

        return er_pwrite_full(book->fd, &header, sizeof header, 0);
}

static int write_slot(const struct book *book, uint32_t i)
{
        const struct slot *s = &book->slots[i];
        struct slot out = {
                .number = htole64(s->number),
                .state = htole32(s->state),
                .cpus = htole32(s->cpus),
                .memory = htole64(s->memory),
                .gpu_mask = htole64(s->gpu_mask),
                .gpus = htole32(s->gpus),
                .pid = htole32((uint32_t)getpid()),
                .shared = htole64(s->shared),
                .allowed = htole64(s->allowed),
        };

        return er_pwrite_full(book->fd, &out, sizeof out, (off_t)(HEADER_SIZE + i * sizeof out));
}

static void close_book(struct book *book)
{
        free(book->slots);
        book->slots = NULL;
}

/* --- who may start */

struct left {
        int64_t cpus;
        int64_t memory;
        uint64_t gpu_mask; /* free ones */
        int64_t gpus;      /* free, without those that earlier tickets wait for */
        uint64_t shared;   /* seen by those that run */
};

static int by_number(const void *a, const void *b)
{
        const struct slot *const *x = a, *const *y = b;

        return (*x)->number<(*y)->number ? -1 : (*x)->number>(*y)->number;
}

static void take_from(int64_t *left, uint64_t amount)
{
        *left = amount > (uint64_t)INT64_MAX || (int64_t)amount > *left ? 0 : *left - (int64_t)amount;
}

/* Goes through the waiting tickets in order and calls fn for each that may start now; fn returns false to stop. */
static void walk(const struct book *book, const struct er_capacity *capacity,
                 bool (*fn)(void *arg, const struct slot *slot, bool fits, bool first, const struct left *left),
                 void *arg)
{
        struct left left = {
                .cpus = capacity->cpus, .memory = (int64_t)capacity->memory, .gpu_mask = capacity->gpu_mask};
        const struct slot **waiting = er_calloc(book->len + 1, sizeof *waiting);
        size_t count = 0;

        for (uint32_t i = 0; i < book->len; i++) {
                const struct slot *s = &book->slots[i];

                if (s->state == RUNNING) {
                        take_from(&left.cpus, s->cpus);
                        take_from(&left.memory, s->memory);
                        left.gpu_mask &= ~s->gpu_mask;
                        left.shared |= s->shared;
                } else if (s->state == WAITING) {
                        waiting[count++] = s;
                }
        }
        left.gpus = __builtin_popcountll(left.gpu_mask);
        qsort(waiting, count, sizeof *waiting, by_number);
        for (size_t i = 0; i < count; i++) {
                const struct slot *s = waiting[i];
                bool fits = (int64_t)s->cpus <= left.cpus && (s->memory == 0 || s->memory <= (uint64_t)left.memory) &&
                            (int64_t)s->gpus <= left.gpus;

                if (!fn(arg, s, fits, i == 0, &left))
                        break;
                /* A ticket that can start takes its needs; one that cannot keeps later ones from taking what it waits
                   for. */
                take_from(&left.cpus, s->cpus);
                take_from(&left.memory, s->memory);
                if (s->allowed == 0 ||
                    s->allowed & capacity->gpu_mask) /* else it waits for others than we could have */
                        take_from(&left.gpus, s->gpus);
        }
        free(waiting);
}

struct mine {
        uint64_t number;
        bool fits, first;
        uint64_t free_gpus, shared_gpus;
};

static bool find_mine(void *arg, const struct slot *slot, bool fits, bool first, const struct left *left)
{
        struct mine *mine = arg;

        if (slot->number != mine->number)
                return true;
        mine->fits = fits;
        mine->first = first;
        mine->free_gpus = left->gpu_mask;
        mine->shared_gpus = left->shared;
        return false;
}

/* The abstract socket address (no file, no permissions) that the owner of a slot listens on while it waits. */
static socklen_t poke_address(int fd, uint32_t slot, uint64_t number, struct sockaddr_un *ret)
{
        struct stat st;
        int len;

        *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
        if (fstat(fd, &st) < 0)
                return 0;
        len = snprintf(ret->sun_path + 1, sizeof ret->sun_path - 1, "errand/%llx/%llx/%u/%llu",
                       (unsigned long long)st.st_dev, (unsigned long long)st.st_ino, (unsigned)slot,
                       (unsigned long long)number);
        return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

struct poking {
        const struct book *book;
        int socket;
};

static bool poke(void *arg, const struct slot *slot, bool fits, bool first, const struct left *left)
{
        struct poking *poking = arg;
        struct sockaddr_un address;
        socklen_t len;

        (void)first;
        if (left->cpus <= 0)
                return false; /* everyone needs one */
        if (!fits)
                return true;
        len = poke_address(poking->book->fd, (uint32_t)(slot - poking->book->slots), slot->number, &address);
        if (poking->socket < 0)
                poking->socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (poking->socket >= 0)
                sendto(poking->socket, "", 1, MSG_NOSIGNAL, (const struct sockaddr *)&address, len);
        return true;
}

static void poke_all(const struct book *book, const struct er_capacity *capacity)
{
        struct poking poking = {.book = book, .socket = -1};
        struct er_capacity all = *capacity;

        /* A ticket without GPUs does not know how many there are; one that is poked looks for itself. */
        all.gpu_mask = ~UINT64_C(0);
        walk(book, &all, poke, &poking);
        er_close(&poking.socket);
}

/* --- tickets */

int er_ticket_enter(const struct er_agent *agent, const struct er_needs *needs, const struct er_capacity *capacity,
                    struct er_ticket *ret, struct er_err *err)
{
        er_autoclose int fd = er_machine_dir_ledger(agent, NULL);
        struct er_ticket ticket = {.fd = -1, .poke_fd = -1, .needs = *needs, .capacity = *capacity};
        struct book book;
        uint32_t i;

        (void)err;
        if (fd < 0 || !lock_book(fd)) {
                er_debug("agent", "no ledger: everything starts at once");
                *ret = ticket;
                return 0;
        }
        read_book(&book, fd, -1);
        for (i = 0; i < book.len && book.slots[i].state != FREE; i++)
                ;
        if (i == book.len && book.len < SLOTS_MAX) {
                size_t cap = book.len;

                book.slots = er_grow(book.slots, &cap, book.len + 1u, sizeof *book.slots);
                book.len++;
        }
        if (i < book.len && lock_byte(fd, F_OFD_SETLK, F_WRLCK, OWNER_BASE + (off_t)i) == 0) {
                book.slots[i] = (struct slot){
                        .number = book.next++,
                        .state = WAITING,
                        .cpus = needs->cpus,
                        .memory = needs->memory,
                        .gpus = needs->gpus,
                        .allowed = capacity->gpu_mask,
                };
                if (write_slot(&book, i) == 0 && write_header(&book) == 0) {
                        ticket.slot = i;
                        ticket.number = book.slots[i].number;
                }
        }
        close_book(&book);
        unlock_book(fd);
        if (ticket.number > 0)
                ticket.fd = er_take_fd(&fd);
        *ret = ticket;
        return 0;
}

/* So many of the free ones, the best first: see ledger.h. */
static uint64_t choose_gpus(const struct er_ticket *ticket, uint64_t free_gpus, uint64_t shared)
{
        const struct er_capacity *capacity = &ticket->capacity;
        uint64_t chosen = 0;

        if (ticket->needs.see)
                return free_gpus;
        for (uint32_t n = 0; n < ticket->needs.gpus; n++) {
                unsigned best = ER_GPUS_MAX, best_cost = UINT_MAX;

                for (unsigned i = 0; i < ER_GPUS_MAX; i++) {
                        unsigned cost = (capacity->gpu_used >> i & 1 ? 512u : 0u) + (shared >> i & 1 ? 256u : 0u) +
                                        capacity->gpu_rank[i];

                        if ((free_gpus >> i & 1) && cost < best_cost) {
                                best = i;
                                best_cost = cost;
                        }
                }
                if (best == ER_GPUS_MAX)
                        break;
                chosen |= (uint64_t)1 << best;
                free_gpus &= ~((uint64_t)1 << best);
        }
        return chosen;
}

/* Is it our turn? Under the lock. */
static void look_up(struct er_ticket *ticket, struct book *book, struct mine *ret)
{
        *ret = (struct mine){.number = ticket->number};
        read_book(book, ticket->fd, ticket->slot);
        if (ticket->slot >= book->len || book->slots[ticket->slot].number != ticket->number) {
                /* Somebody emptied the file: our slot is gone, and so are all others. */
                ret->fits = true;
                ret->free_gpus = ticket->capacity.gpu_mask;
        } else {
                walk(book, &ticket->capacity, find_mine, ret);
        }
}

bool er_ticket_fits(struct er_ticket *ticket)
{
        struct book book;
        struct mine mine;

        if (ticket->fd < 0)
                return true;
        if (!lock_book(ticket->fd))
                return false;
        look_up(ticket, &book, &mine);
        close_book(&book);
        unlock_book(ticket->fd);
        return mine.fits;
}

int er_ticket_try(struct er_ticket *ticket, uint64_t *ret_gpu_mask, int *ret_retry_ms)
{
        struct book book;
        struct mine mine;
        uint64_t chosen = 0;

        if (ticket->fd < 0) {
                *ret_gpu_mask = choose_gpus(ticket, ticket->capacity.gpu_mask, 0);
                return 1;
        }
        if (!lock_book(ticket->fd)) {
                *ret_retry_ms = 1000;
                return 0;
        }
        look_up(ticket, &book, &mine);
        if (mine.fits)
                chosen = choose_gpus(ticket, mine.free_gpus, mine.shared_gpus);
        if (mine.fits && ticket->slot < book.len && book.slots[ticket->slot].number == ticket->number) {
                struct slot *s = &book.slots[ticket->slot];

                s->state = RUNNING;
                s->gpu_mask = ticket->needs.see ? 0 : chosen;
                s->shared = ticket->needs.see ? chosen : 0;
                write_slot(&book, ticket->slot);
        } else if (!mine.fits && mine.first) {
                poke_all(&book, &ticket->capacity); /* others may fit where the first does not */
        }
        close_book(&book);
        unlock_book(ticket->fd);
        if (!mine.fits) {
                *ret_retry_ms = mine.first ? 1000 : 5000;
                return 0;
        }
        *ret_gpu_mask = chosen;
        return 1;
}

void er_ticket_listen(struct er_ticket *ticket)
{
        struct sockaddr_un address;
        socklen_t len;

        if (ticket->fd < 0 || ticket->poke_fd >= 0)
                return;
        ticket->poke_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        len = poke_address(ticket->fd, ticket->slot, ticket->number, &address);
        if (ticket->poke_fd >= 0 && bind(ticket->poke_fd, (const struct sockaddr *)&address, len) < 0)
                er_close(&ticket->poke_fd);
}

void er_ticket_hear(struct er_ticket *ticket)
{
        char buf[64];

        while (ticket->poke_fd >= 0 && recv(ticket->poke_fd, buf, sizeof buf, 0) > 0)
                ;
}

void er_ticket_leave(struct er_ticket *ticket)
{
        struct book book;

        if (ticket->fd >= 0 && lock_book(ticket->fd)) {
                read_book(&book, ticket->fd, ticket->slot);
                if (ticket->slot < book.len && book.slots[ticket->slot].number == ticket->number) {
                        book.slots[ticket->slot].state = FREE;
                        write_slot(&book, ticket->slot);
                        while (book.len > 0 && book.slots[book.len - 1].state == FREE)
                                book.len--;
                        write_header(&book);
                        poke_all(&book, &ticket->capacity);
                }
                close_book(&book);
                lock_byte(ticket->fd, F_OFD_SETLK, F_UNLCK, OWNER_BASE + (off_t)ticket->slot);
                unlock_book(ticket->fd);
        }
        er_ticket_close(ticket);
}

void er_ticket_close(struct er_ticket *ticket)
{
        er_close(&ticket->fd);
        er_close(&ticket->poke_fd);
}

void er_ledger_look(const struct er_agent *agent, struct er_ledger_use *ret)
{
        er_autoclose int fd = er_machine_dir_ledger(agent, NULL);
        struct book book;

        *ret = (struct er_ledger_use){0};
        if (fd < 0 || !lock_book(fd))
                return;
        read_book(&book, fd, -1);
        for (uint32_t i = 0; i < book.len; i++) {
                const struct slot *s = &book.slots[i];

                if (s->state == RUNNING) {
                        ret->running++;
                        ret->cpus += s->cpus;
                        ret->memory += s->memory;
                        ret->gpu_mask |= s->gpu_mask;
                } else if (s->state == WAITING) {
                        ret->queued++;
                }
        }
        close_book(&book);
        unlock_book(fd);
}
