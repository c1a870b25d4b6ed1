/* spec.c - see spec.h */
#include "proto/spec.h"

#include "proto/msg.h"

/* On hosts' disks and in stores: never change a number or use it again. Types as in wire.h. */
enum spec_tag {
        S_RUN = 1,          /* s */
        S_PROJECT = 2,      /* s */
        S_ARG = 3,          /* s*: argv, in order */
        S_SHELL = 4,        /* u */
        S_WORKDIR = 5,      /* s */
        S_ENV = 6,          /* s*: "K=V" */
        S_SECRET = 7,       /* s*: names */
        S_OUTPUT = 8,       /* s* */
        S_HOST = 9,         /* s* */
        S_CPUS = 10,        /* u */
        S_MEMORY = 11,      /* u */
        S_GPUS = 12,        /* u */
        S_TIME_LIMIT = 13,  /* i: ms */
        S_GRACE = 14,       /* i: ms */
        S_RETRIES = 15,     /* u */
        S_SYNC = 16,        /* u */
        S_TREE = 17,        /* s: ER_TREE_HASH bytes */
        S_ENVIRONMENT = 18, /* s: ER_TREE_HASH bytes */
        S_NO_GPUS = 19,     /* u: 1: it sees no GPU; absent: with GPUS 0, those that nobody has reserved */
        S_STRICT_LOG = 20,  /* u */
};

#define CPUS_MAX 1000000u

/* Members of the same kind, so that reading, writing and releasing cannot disagree. */
static const struct text_member {
        enum spec_tag tag;
        size_t offset;
} texts[] =
        {
                {S_RUN, offsetof(struct er_spec, run)},
                {S_PROJECT, offsetof(struct er_spec, project)},
                {S_WORKDIR, offsetof(struct er_spec, workdir)},
},
  lists[] = {
          {S_ARG, offsetof(struct er_spec, argv)},       {S_ENV, offsetof(struct er_spec, env)},
          {S_SECRET, offsetof(struct er_spec, secrets)}, {S_OUTPUT, offsetof(struct er_spec, outputs)},
          {S_HOST, offsetof(struct er_spec, hosts)},
};

static char **text_of(struct er_spec *spec, const struct text_member *member)
{
        return (char **)(void *)((char *)spec + member->offset);
}

static struct er_strv *list_of(struct er_spec *spec, const struct text_member *member)
{
        return (struct er_strv *)(void *)((char *)spec + member->offset);
}

void er_spec_release(struct er_spec *spec)
{
        for (size_t i = 0; i < ER_LEN(texts); i++)
                free(*text_of(spec, &texts[i]));
        for (size_t i = 0; i < ER_LEN(lists); i++)
                er_strv_release(list_of(spec, &lists[i]));
        *spec = (struct er_spec)ER_SPEC_INIT;
}

void er_spec_encode(const struct er_spec *spec, struct er_str *out)
{
        struct er_spec s = *spec; /* a shallow copy; only read */

        for (size_t i = 0; i < ER_LEN(texts); i++)
                er_msg_text(out, texts[i].tag, *text_of(&s, &texts[i]));
        for (size_t i = 0; i < ER_LEN(lists); i++) {
                const struct er_strv *list = list_of(&s, &lists[i]);

                for (size_t k = 0; k < list->len; k++)
                        er_msg_text(out, lists[i].tag, list->items[k]);
        }
        er_msg_u64(out, S_SHELL, s.shell);
        er_msg_u64(out, S_CPUS, s.cpus);
        er_msg_u64(out, S_MEMORY, s.memory);
        er_msg_u64(out, S_GPUS, s.gpus);
        if (s.no_gpus)
                er_msg_u64(out, S_NO_GPUS, 1);
        er_msg_i64(out, S_TIME_LIMIT, s.time_limit_ms);
        er_msg_i64(out, S_GRACE, s.grace_ms);
        er_msg_u64(out, S_RETRIES, s.retries);
        er_msg_u64(out, S_SYNC, s.sync);
        if (s.strict_log)
                er_msg_u64(out, S_STRICT_LOG, 1);
        if (s.has_tree)
                er_msg_bytes(out, S_TREE, s.tree, ER_TREE_HASH);
        if (s.has_environment)
                er_msg_bytes(out, S_ENVIRONMENT, s.environment, ER_TREE_HASH);
}

static int damaged(struct er_spec *spec, struct er_err *err, const char *what)
{
        er_spec_release(spec);
        return er_err_set(err, ER_REMOTE, "damaged job spec: %s", what);
}

/* Text that becomes a C string: no NUL in it. */
static bool is_text(struct er_sv value)
{
        return value.len == 0 || !memchr(value.ptr, '\0', value.len);
}

static bool take_text(struct er_spec *spec, const struct er_field *f)
{
        for (size_t i = 0; i < ER_LEN(texts); i++) {
                if (f->tag != texts[i].tag)
                        continue;
                free(*text_of(spec, &texts[i]));
                *text_of(spec, &texts[i]) = er_sv_dup(f->value);
                return true;
        }
        for (size_t i = 0; i < ER_LEN(lists); i++) {
                if (f->tag != lists[i].tag)
                        continue;
                er_strv_addn(list_of(spec, &lists[i]), f->value.ptr, f->value.len);
                return true;
        }
        return false;
}

static void take_number(struct er_spec *spec, const struct er_field *f)
{
        uint64_t v = er_field_u64(f);

        if (f->value.len != 8)
                return;
        switch (f->tag) {
        case S_SHELL:
                spec->shell = v != 0;
                break;
        case S_CPUS:
                spec->cpus = v == 0 ? 1 : v > CPUS_MAX ? CPUS_MAX : (uint32_t)v;
                break;
        case S_MEMORY:
                spec->memory = v;
                break;
        case S_GPUS:
                spec->gpus = v > CPUS_MAX ? CPUS_MAX : (uint32_t)v;
                break;
        case S_NO_GPUS:
                spec->no_gpus = v != 0;
                break;
        case S_TIME_LIMIT:
                spec->time_limit_ms = v > INT64_MAX / 4 ? 0 : (int64_t)v;
                break;
        case S_GRACE:
                spec->grace_ms = v > INT64_MAX / 4 ? 0 : (int64_t)v;
                break;
        case S_RETRIES:
                spec->retries = v > CPUS_MAX ? CPUS_MAX : (uint32_t)v;
                break;
        case S_SYNC:
                spec->sync = v != 0;
                break;
        case S_STRICT_LOG:
                spec->strict_log = v != 0;
                break;
        default: /* from a newer version */
                break;
        }
}

int er_spec_decode(struct er_sv data, struct er_spec *ret, struct er_err *err)
{
        struct er_spec spec = ER_SPEC_INIT;
        struct er_field f;

        if (data.len > ER_SPEC_MAX)
                return damaged(&spec, err, "too large");
        if (!er_msg_is_sound(data))
                return damaged(&spec, err, "a field is cut short");
        while (er_msg_next(&data, &f)) {
                if (f.tag == S_TREE && f.value.len == ER_TREE_HASH) {
                        memcpy(spec.tree, f.value.ptr, ER_TREE_HASH);
                        spec.has_tree = true;
                } else if (f.tag == S_ENVIRONMENT && f.value.len == ER_TREE_HASH) {
                        memcpy(spec.environment, f.value.ptr, ER_TREE_HASH);
                        spec.has_environment = true;
                } else if (f.tag == S_RUN || f.tag == S_PROJECT || f.tag == S_WORKDIR ||
                           (f.tag >= S_ARG && f.tag <= S_HOST && f.tag != S_SHELL)) {
                        if (!is_text(f.value))
                                return damaged(&spec, err, "a NUL byte in text");
                        take_text(&spec, &f);
                } else {
                        take_number(&spec, &f);
                }
        }
        if (spec.argv.len == 0)
                return damaged(&spec, err, "no command");
        if (spec.shell && spec.argv.len != 1)
                return damaged(&spec, err, "a shell line must be one argument");
        *ret = spec;
        return 0;
}
