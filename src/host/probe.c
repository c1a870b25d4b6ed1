/* probe.c - see probe.h */
#include "host/probe.h"

#include <jansson.h>
#include "base/json.h"
#include "host/connect/requests.h"

#define GPUS_MAX 256u

void er_probe_release(struct er_probe *probe)
{
        free(probe->machine);
        free(probe->hostname);
        free(probe->arch);
        free(probe->kernel);
        free(probe->os);
        free(probe->user);
        free(probe->root);
        for (size_t i = 0; i < probe->gpu_count; i++)
                free(probe->gpus[i].name);
        free(probe->gpus);
        er_strv_release(&probe->absent);
        *probe = (struct er_probe)ER_PROBE_INIT;
}

static struct er_gpu *add_gpu(struct er_probe *probe)
{
        struct er_gpu *gpu;

        if (probe->gpu_count == GPUS_MAX)
                return NULL;
        probe->gpus = er_realloc(probe->gpus, (probe->gpu_count + 1) * sizeof *probe->gpus);
        gpu = &probe->gpus[probe->gpu_count++];
        *gpu = (struct er_gpu){.memory = -1, .memory_free = -1, .util = -1};
        return gpu;
}

/* -1 when it is not there. */
static int64_t known(struct er_sv message, enum er_tag tag, int64_t max)
{
        uint64_t value = er_msg_get_u64(message, tag, UINT64_MAX);

        return value == UINT64_MAX ? -1 : value > (uint64_t)max ? max : (int64_t)value;
}

static void read_gpu(struct er_probe *probe, struct er_sv message)
{
        struct er_gpu *gpu = add_gpu(probe);

        if (!gpu)
                return;
        gpu->index = (unsigned)er_msg_get_u64(message, ER_T_INDEX, 0);
        gpu->name = er_msg_dup(message, ER_T_NAME);
        gpu->memory = known(message, ER_T_MEMORY, INT64_MAX);
        gpu->memory_free = known(message, ER_T_MEMORY_FREE, INT64_MAX);
        gpu->util = (int)known(message, ER_T_UTIL, 100);
        gpu->taken = er_msg_get_u64(message, ER_T_RUNNING, 0) != 0;
}

static void read_probe(struct er_sv payload, struct er_probe *ret)
{
        struct er_field field;
        struct er_sv rest = payload;

        *ret = (struct er_probe){
                .hostname = er_msg_dup(payload, ER_T_HOSTNAME),
                .arch = er_msg_dup(payload, ER_T_ARCH),
                .kernel = er_msg_dup(payload, ER_T_KERNEL),
                .os = er_msg_dup(payload, ER_T_OS),
                .user = er_msg_dup(payload, ER_T_USER),
                .root = er_msg_dup(payload, ER_T_ROOT),
                .cpus = (unsigned)er_msg_get_u64(payload, ER_T_CPUS, 0),
                .cpus_free = (unsigned)er_msg_get_u64(payload, ER_T_CPUS_FREE, 0),
                .memory = er_msg_get_u64(payload, ER_T_MEMORY, 0),
                .memory_free = er_msg_get_u64(payload, ER_T_MEMORY_FREE, 0),
                .memory_unreserved = er_msg_get_u64(payload, ER_T_MEMORY_UNRESERVED, 0),
                .disk = er_msg_get_u64(payload, ER_T_DISK, 0),
                .disk_free = er_msg_get_u64(payload, ER_T_DISK_FREE, 0),
                .load = (double)er_msg_get_u64(payload, ER_T_LOAD, 0) / 100,
                .running = (unsigned)er_msg_get_u64(payload, ER_T_RUNNING, 0),
                .queued = (unsigned)er_msg_get_u64(payload, ER_T_QUEUED, 0),
                .gpus_free = (unsigned)er_msg_get_u64(payload, ER_T_GPUS_FREE, 0),
                .writable = er_msg_get_u64(payload, ER_T_WRITABLE, 1) != 0,
                .noexec = er_msg_get_u64(payload, ER_T_MOUNT_NOEXEC, 0) != 0,
                .cpu_busy_ms = er_msg_get_u64(payload, ER_T_CPU_BUSY, 0),
                .cpu_total_ms = er_msg_get_u64(payload, ER_T_CPU_TOTAL, 0),
        };
        while (er_msg_next(&rest, &field)) {
                if (field.tag == ER_T_GPU)
                        read_gpu(ret, field.value);
                else if (field.tag == ER_T_ABSENT && field.value.len < 256)
                        er_strv_addn(&ret->absent, field.value.ptr, field.value.len);
        }
}

int er_host_probe(struct er_session *session, struct er_probe *ret, struct er_err *err)
{
        const struct er_hello *hello;
        struct er_frame answer;
        int64_t begun_us, latency_us;

        if (er_session_hello(session, &hello, err) < 0)
                return -1;
        begun_us = er_mono_us();
        if (er_session_call(session, ER_F_PING, er_svn("", 0), NULL, err) < 0)
                return -1;
        latency_us = er_mono_us() - begun_us;
        if (er_session_call(session, ER_F_PROBE, er_svn("", 0), &answer, err) < 0)
                return -1;
        if (answer.type != ER_F_PROBE_OK)
                return er_err_set(err, ER_REMOTE, "%s: errand-agent sent an unexpected answer to a probe",
                                  er_session_host(session));
        read_probe(answer.payload, ret);
        ret->machine = er_machine(hello);
        ret->latency_us = latency_us;
        ret->clock_skew_ms = hello->clock_skew_ms;
        return 0;
}

static unsigned at_least_one(uint32_t cpus)
{
        return cpus ? cpus : 1;
}

bool er_probe_has_room(const struct er_probe *probe, const struct er_spec *spec)
{
        /* Those already queued there go first. */
        return probe->queued == 0 && probe->cpus_free >= at_least_one(spec->cpus) &&
               probe->memory_unreserved >= spec->memory && probe->gpus_free >= spec->gpus;
}

bool er_probe_could_fit(const struct er_probe *probe, const struct er_spec *spec)
{
        return probe->cpus >= at_least_one(spec->cpus) && probe->memory >= spec->memory &&
               probe->gpu_count >= spec->gpus;
}

/* The key of each member in the JSON text: one table for both directions. */
enum kind { TEXT, NUMBER32, NUMBER64, SIGNED32, SIGNED64, REAL, TRUTH };
struct member {
        const char *key;
        enum kind kind;
        size_t offset;
};
#define MEMBER(type, name, kind) {#name, kind, offsetof(struct type, name)}
static const struct member probe_members[] = {
        MEMBER(er_probe, machine, TEXT),
        MEMBER(er_probe, hostname, TEXT),
        MEMBER(er_probe, arch, TEXT),
        MEMBER(er_probe, kernel, TEXT),
        MEMBER(er_probe, os, TEXT),
        MEMBER(er_probe, user, TEXT),
        MEMBER(er_probe, root, TEXT),
        MEMBER(er_probe, cpus, NUMBER32),
        MEMBER(er_probe, cpus_free, NUMBER32),
        MEMBER(er_probe, memory, NUMBER64),
        MEMBER(er_probe, memory_free, NUMBER64),
        MEMBER(er_probe, memory_unreserved, NUMBER64),
        MEMBER(er_probe, disk, NUMBER64),
        MEMBER(er_probe, disk_free, NUMBER64),
        MEMBER(er_probe, load, REAL),
        MEMBER(er_probe, running, NUMBER32),
        MEMBER(er_probe, queued, NUMBER32),
        MEMBER(er_probe, gpus_free, NUMBER32),
        MEMBER(er_probe, writable, TRUTH),
        MEMBER(er_probe, noexec, TRUTH),
        MEMBER(er_probe, clock_skew_ms, SIGNED64),
        MEMBER(er_probe, latency_us, SIGNED64),
};
static const struct member gpu_members[] = {
        MEMBER(er_gpu, index, NUMBER32),       MEMBER(er_gpu, name, TEXT),     MEMBER(er_gpu, memory, SIGNED64),
        MEMBER(er_gpu, memory_free, SIGNED64), MEMBER(er_gpu, util, SIGNED32), MEMBER(er_gpu, taken, TRUTH),
};

static json_t *pack(const void *object, const struct member *members, size_t count)
{
        json_t *json = json_object();

        for (size_t i = 0; i < count; i++) {
                const void *place = (const char *)object + members[i].offset;
                json_t *value = NULL;

                switch (members[i].kind) {
                case TEXT:
                        value = er_json_text(*(char *const *)place);
                        break;
                case NUMBER32:
                        value = json_integer((json_int_t) * (const unsigned *)place);
                        break;
                case NUMBER64:
                        value = json_integer((json_int_t) * (const uint64_t *)place);
                        break;
                case SIGNED32:
                        value = json_integer((json_int_t) * (const int *)place);
                        break;
                case SIGNED64:
                        value = json_integer((json_int_t) * (const int64_t *)place);
                        break;
                case REAL:
                        value = json_real(*(const double *)place);
                        break;
                case TRUTH:
                        value = json_boolean(*(const bool *)place);
                        break;
                }
                json_object_set_new(json, members[i].key, value);
        }
        return json;
}

/* A missing key keeps its value: a text from an older errand will do. */
static void unpack(const json_t *json, const struct member *members, size_t count, void *object)
{
        for (size_t i = 0; i < count; i++) {
                void *place = (char *)object + members[i].offset;
                const json_t *value = json_object_get(json, members[i].key);
                json_int_t number = json_integer_value(value);

                if (!value)
                        continue;
                switch (members[i].kind) {
                case TEXT:
                        if (json_is_string(value))
                                *(char **)place = er_strdup(json_string_value(value));
                        break;
                case NUMBER32:
                        *(unsigned *)place = number < 0 || number > UINT32_MAX ? 0 : (unsigned)number;
                        break;
                case NUMBER64:
                        *(uint64_t *)place = number < 0 ? 0 : (uint64_t)number;
                        break;
                case SIGNED32:
                        *(int *)place = number < INT32_MIN || number > INT32_MAX ? 0 : (int)number;
                        break;
                case SIGNED64:
                        *(int64_t *)place = number;
                        break;
                case REAL:
                        *(double *)place = json_number_value(value);
                        break;
                case TRUTH:
                        *(bool *)place = json_is_true(value);
                        break;
                }
        }
}

char *er_probe_to_json(const struct er_probe *probe)
{
        json_t *json = pack(probe, probe_members, ER_LEN(probe_members)), *gpus = json_array(), *absent = json_array();
        struct er_str text = ER_STR_INIT;

        for (size_t i = 0; i < probe->gpu_count; i++)
                json_array_append_new(gpus, pack(&probe->gpus[i], gpu_members, ER_LEN(gpu_members)));
        for (size_t i = 0; i < probe->absent.len; i++)
                json_array_append_new(absent, er_json_text(probe->absent.items[i]));
        json_object_set_new(json, "gpus", gpus);
        json_object_set_new(json, "absent", absent);
        er_json_dump(json, false, &text);
        json_decref(json);
        return er_str_detach(&text);
}

int er_probe_from_json(const char *text, struct er_probe *ret, struct er_err *err)
{
        json_t *json = NULL;
        const json_t *item;
        size_t i;

        if (er_json_parse(text, strlen(text), "what is stored about a host", &json, err) < 0) {
                if (err)
                        err->code = ER_STATE;
                return -1;
        }
        if (!json_is_object(json)) {
                json_decref(json);
                return er_err_set(err, ER_STATE, "what is stored about a host is damaged");
        }
        *ret = (struct er_probe)ER_PROBE_INIT;
        unpack(json, probe_members, ER_LEN(probe_members), ret);
        json_array_foreach(json_object_get(json, "gpus"), i, item)
        {
                struct er_gpu *gpu = add_gpu(ret);

                if (gpu)
                        unpack(item, gpu_members, ER_LEN(gpu_members), gpu);
        }
        json_array_foreach(json_object_get(json, "absent"), i, item)
        {
                if (json_is_string(item))
                        er_strv_add(&ret->absent, json_string_value(item));
        }
        json_decref(json);
        return 0;
}
