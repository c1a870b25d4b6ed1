/*
 * wire.h - the numbers of the protocol between errand and errand-agent. PROTOCOL.md explains them.
 *
 * A number is never changed and never reused: append. tests/unit/check-numbers finds one that is given out twice. A
 * field's type follows from its tag.
 *
 * These tags are also the fields of the records that the agent keeps on its disk (PROTOCOL.md, section 9). A spec and a
 * recipe travel inside one field and have numbers of their own: see spec.c and recipe.c.
 */
#ifndef ER_PROTO_WIRE_H
#define ER_PROTO_WIRE_H

#define ER_PROTO_VERSION_MIN 1
#define ER_PROTO_VERSION_MAX 1

#define ER_FRAME_MAX (1u << 20)               /* payload of one frame, bytes */
#define ER_NEED_PAIR 12u                      /* u32 index, u64 offset */
#define ER_NEED_CHUNK (ER_NEED_PAIR * 65536u) /* most bytes of pairs in one NEED frame */
/* Bytes in a usual LOG_DATA, DATA or BLOB frame; at most ER_FRAME_MAX - 1024 are allowed. */
#define ER_CHUNK (64u * 1024)
#define ER_LINE_OF_JOBS_KEY_MAX 200u /* a job key */

/* Frame types: requests are below 128, answers from 128. Every request gets exactly one closing answer: OK, END, ERROR,
 * or the ..._OK of its kind. */
enum er_frame_type {
        ER_F_HELLO = 1,     /* -> HELLO_OK */
        ER_F_PING = 2,      /* -> OK */
        ER_F_PROBE = 3,     /* -> PROBE_OK */
        ER_F_SUBMIT = 4,    /* -> OK; starting the same attempt twice is one start */
        ER_F_WATCH = 5,     /* -> EVENT*, LOG*, END when the attempt has ended and its log has been sent */
        ER_F_CANCEL = 6,    /* -> OK when the supervisor has been told */
        ER_F_STAT = 7,      /* -> STATUS*, END */
        ER_F_LOG = 8,       /* -> LOG*, END */
        ER_F_TREES = 9,     /* -> OK with a TREE tag for each snapshot of the project, newest first */
        ER_F_TREE_PUT = 10, /* then TREE_PART*, TREE_END -> NEED, then BLOB*, BLOB_END -> OK */
        ER_F_TREE_PART = 11,
        ER_F_TREE_END = 12,
        ER_F_BLOB = 13,
        ER_F_BLOB_END = 14,
        ER_F_LIST = 15, /* -> ENTRY*, END */
        ER_F_GET = 16,  /* -> DATA*, END */
        ER_F_PUT = 17,  /* a small file -> OK; a large one -> OK {OFFSET}, then DATA_IN*, PUT_END -> OK */
        ER_F_DATA_IN = 18,
        ER_F_PUT_END = 19,
        ER_F_REMOVE = 20,      /* -> OK {FREED} */
        ER_F_GC = 21,          /* -> OK {FREED, COUNT...} */
        ER_F_STOP = 22,        /* ends a WATCH, LOG, GET or LIST early -> its END */
        ER_F_ENV = 23,         /* -> EVENT*, OK when the environment is ready */
        ER_F_ENV_LIST = 24,    /* -> ENTRY*, END */
        ER_F_ENV_REMOVE = 25,  /* -> OK {FREED} */
        ER_F_ENV_CHECK = 26,   /* -> OK: everything declared is there */
        ER_F_DATA_FETCH = 27,  /* -> EVENT*, OK when the whole file is there */
        ER_F_DATA_LIST = 28,   /* -> ENTRY*, END */
        ER_F_DATA_REMOVE = 29, /* -> OK {FREED} */

        ER_F_HELLO_OK = 128,
        ER_F_OK = 129,
        ER_F_ERROR = 130,
        ER_F_END = 131,
        ER_F_PROBE_OK = 132,
        ER_F_EVENT = 133,
        ER_F_LOG_DATA = 134,
        ER_F_STATUS = 135,
        ER_F_NEED = 136,
        ER_F_ENTRY = 137,
        ER_F_DATA = 138,
};

/* Tags. u: unsigned 64, i: signed 64 (times in ms), s: bytes, m: a nested message, *: may repeat. */
enum er_tag {
        ER_T_VERSION_MIN = 1,        /* u */
        ER_T_VERSION_MAX = 2,        /* u */
        ER_T_VERSION = 3,            /* u: the one that was chosen */
        ER_T_BUILD = 4,              /* s */
        ER_T_NOW = 5,                /* i: the sender's clock */
        ER_T_BOOT_ID = 6,            /* s: /proc/sys/kernel/random/boot_id */
        ER_T_HOSTNAME = 7,           /* s */
        ER_T_ROOT = 8,               /* s: absolute path of ~/.errand on the host */
        ER_T_CODE = 9,               /* u: enum er_code */
        ER_T_MESSAGE = 10,           /* s */
        ER_T_HINT = 11,              /* s */
        ER_T_ERRNO = 12,             /* u */
        ER_T_KEY = 13,               /* s: job key, "mnist-12.0.3fa9c1" */
        ER_T_ATTEMPT = 14,           /* u: from 1 */
        ER_T_SPEC = 15,              /* m: spec.h */
        ER_T_SECRET = 16,            /* s*: "NAME=value"; never written to disk */
        ER_T_SEQ = 17,               /* u: number of an event, from 1 */
        ER_T_STATE = 18,             /* u: enum er_state */
        ER_T_END = 19,               /* u: enum er_end */
        ER_T_REASON = 20,            /* u: enum er_reason */
        ER_T_EXIT_CODE = 21,         /* u */
        ER_T_SIGNAL = 22,            /* u */
        ER_T_DETAIL = 23,            /* s: a missing pattern, a message */
        ER_T_TIME = 24,              /* i: by the host's clock */
        ER_T_STARTED = 25,           /* i */
        ER_T_ENDED = 26,             /* i */
        ER_T_CPU_MS = 27,            /* u: CPU time of the process tree */
        ER_T_MAX_RSS = 28,           /* u: bytes, peak of the process tree */
        ER_T_GPU_UTIL = 29,          /* u: percent, mean over its GPUs; absent if not measured */
        ER_T_GPU_MEM = 30,           /* u: bytes, peak of their sum; absent if not measured */
        ER_T_GPU_INDEX = 31,         /* u*: the GPUs of the attempt */
        ER_T_LOG_SIZE = 32,          /* u */
        ER_T_OFFSET = 33,            /* u: in the log or file */
        ER_T_STREAM = 34,            /* u: 1 stdout, 2 stderr */
        ER_T_DATA = 35,              /* s */
        ER_T_LIMIT = 36,             /* u: bytes at most */
        ER_T_TAIL = 37,              /* u: last N lines */
        ER_T_SINCE = 38,             /* i */
        ER_T_PROJECT = 39,           /* s */
        ER_T_TREE = 40,              /* s*: 32 bytes, hash of a snapshot */
        ER_T_BASE = 41,              /* s: 32 bytes, the tree to which TREE_PART is a difference */
        ER_T_COUNT = 42,             /* u */
        ER_T_CHECKSUM = 43,          /* u: sum of er_tree_entry_sum over the whole new tree */
        ER_T_ENTRIES = 44,           /* s: packed entries, tree.h */
        ER_T_GONE = 45,              /* s: packed paths that are in the base, not in the new tree */
        ER_T_INDEX = 46,             /* u: position of a blob among the entries of the TREE_PART frames */
        ER_T_NEED = 47,              /* s: packed (u32 index, u64 offset) little-endian pairs */
        ER_T_SIZE = 48,              /* u */
        ER_T_PATH = 49,              /* s */
        ER_T_PATTERN = 50,           /* s*: glob, relative to the directory */
        ER_T_MODE = 51,              /* u: permission bits */
        ER_T_TYPE = 52,              /* u: 'f', 'd', 'l' */
        ER_T_MTIME = 53,             /* i: ms */
        ER_T_TARGET = 54,            /* s: of a symlink */
        ER_T_FREED = 55,             /* u: bytes */
        ER_T_OWNER = 56,             /* s: the store's id, the last part of a job key */
        ER_T_DRY = 58,               /* u: 1: only count */
        ER_T_GRACE = 59,             /* i: ms between TERM and KILL */
        ER_T_ARCH = 60,              /* s: "x86_64" */
        ER_T_KERNEL = 61,            /* s */
        ER_T_CPUS = 62,              /* u */
        ER_T_CPUS_FREE = 63,         /* u */
        ER_T_MEMORY = 64,            /* u: bytes */
        ER_T_MEMORY_FREE = 65,       /* u: MemAvailable */
        ER_T_DISK = 66,              /* u: bytes, of the file system of ROOT */
        ER_T_DISK_FREE = 67,         /* u */
        ER_T_LOAD = 68,              /* u: 1-minute load average x 100 */
        ER_T_RUNNING = 69,           /* u: attempts that are running */
        ER_T_QUEUED = 70,            /* u */
        ER_T_GPU = 71,               /* m*: INDEX, NAME, MEMORY, MEMORY_FREE, UTIL, RUNNING (1: taken by an attempt) */
        ER_T_NAME = 72,              /* s */
        ER_T_UTIL = 73,              /* u: percent */
        ER_T_MEMORY_UNRESERVED = 74, /* u: bytes not reserved by attempts */
        ER_T_ABSENT = 75,            /* s*: programs a doctor asks for that are not there (git, rsync, python3, ...) */
        ER_T_FOLLOW = 76,            /* u: 0: send no log, only events */
        ER_T_PID = 77,               /* u */
        ER_T_CHANGED = 78,           /* u: 1: the file changed while it was read */
        ER_T_OVERWRITE = 79,         /* u */
        ER_T_GPUS_FREE = 80,         /* u */
        ER_T_WRITABLE = 81,          /* u: 0: ROOT cannot be written */
        ER_T_MOUNT_NOEXEC = 82,      /* u: 1: ROOT is on a noexec mount */
        ER_T_USER = 83,              /* s */
        ER_T_OS = 84,                /* s: PRETTY_NAME of /etc/os-release */
        ER_T_ATTEMPT_ID = 85,        /* s: random, unique: ERRAND_ATTEMPT_ID of the job's processes */
        ER_T_RETRYABLE = 86,         /* u: 1: trying again may help */
        ER_T_PROVIDER_CODE = 87,     /* s: of an ERROR: "snapshot" */
        ER_T_PID_START = 88,         /* u: field 22 of /proc/PID/stat: tells a process from a later one with its PID */
        ER_T_ENVIRONMENT = 89,       /* s: 32 bytes, hash of an environment */
        ER_T_RECIPE = 90,            /* m: recipe.h */
        ER_T_URL = 91,               /* s */
        ER_T_SUM = 92,               /* s: "sha256=HEX", also sha512 and md5 */
        ER_T_UNPACK = 93,            /* u: 1: unpack the archive where it is */
        ER_T_CPU_BUSY = 94,          /* u: ms that all CPUs together have been busy since boot ... */
        ER_T_CPU_TOTAL = 95,         /* u: ... out of this many */
        ER_T_ACTIVE = 96,            /* u: 1: only attempts that have not ended */
        ER_T_RSS = 97,               /* u: bytes, of the process tree, at ... */
        ER_T_USED = 98,              /* i: ... the time when its usage was last measured */
        ER_T_LISTENER = 99,          /* s: the path of its socket */
        ER_T_PLATFORM = 100,         /* s: "python=3.11 machine=x86_64 ..." */
        ER_T_LINGER = 101,           /* u: ms a listener waits for a client; in a HELLO: the client could use one */
        ER_T_GPU_SHARED = 102,       /* u: 1: it asked for none; GPU_INDEX* are those it sees beside others */
        ER_T_GPU_UTIL_MAX = 103,     /* u: percent, peak of the mean over its GPUs; absent when nothing was measured */
};

/* The states of an attempt on its host, in order. */
enum er_state {
        ER_STATE_WAITING = 1, /* not on the host yet; from an agent: the environment is being built */
        ER_STATE_QUEUED = 2,
        ER_STATE_STARTING = 3,
        ER_STATE_RUNNING = 4,
        ER_STATE_ENDED = 5,
};

/* STATE of an environment. */
enum er_env_state {
        ER_ENV_STATE_NONE = 0, /* never built, or a build was interrupted */
        ER_ENV_STATE_BUILDING = 1,
        ER_ENV_STATE_READY = 2,
        ER_ENV_STATE_FAILED = 3, /* MESSAGE says why */
};

/* How an attempt ended. */
enum er_end {
        ER_END_NONE = 0,
        ER_END_DONE = 1,
        ER_END_FAILED = 2,
        ER_END_CANCELLED = 3,
        ER_END_PREEMPTED = 4,
        ER_END_LOST = 5,
};

/* Why. */
enum er_reason {
        ER_REASON_NONE = 0,
        ER_REASON_EXIT = 1, /* non-zero exit status */
        ER_REASON_SIGNAL = 2,
        ER_REASON_OOM = 3,
        ER_REASON_MISSING_OUTPUT = 4, /* DETAIL: the pattern */
        ER_REASON_TIME_LIMIT = 5,
        ER_REASON_ENVIRONMENT = 6,
        ER_REASON_FILES = 7,   /* the snapshot could not be made or sent; the disk is full */
        ER_REASON_START = 8,   /* the command could not be executed: EXIT_CODE is 126 or 127 */
        ER_REASON_USER = 9,    /* the user cancelled it */
        ER_REASON_REBOOT = 10, /* lost: the host was rebooted */
        ER_REASON_KILLED = 11, /* lost: the supervisor was killed */
        ER_REASON_HOST = 12,   /* the host cannot be reached or used; never after a start */
        ER_REASON_SECRET = 13, /* the value of a secret is not available */
        ER_REASON_GONE = 14,   /* lost: the host no longer knows it */
        ER_REASON_ROOM = 15,   /* no host could ever fit it */
        ER_REASON_LOG = 16,    /* a part of its output could not be kept, and the spec is strict about that */
};

const char *er_state_name(enum er_state state);
const char *er_end_name(enum er_end end);
const char *er_reason_name(enum er_reason reason); /* "missing output" */

#endif
