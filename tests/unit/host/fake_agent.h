/*
 * fake_agent.h - a program that answers as a test wants: the test's own binary, started again by the local transport
 * through a script at the agent's place. Its mode is the last word of that script.
 */
#ifndef ER_FAKE_AGENT_H
#define ER_FAKE_AGENT_H

#include "unit.h"

#include <errno.h>
#include <sys/stat.h>
#include "base/clock.h"
#include "base/io.h"
#include "host/connect/agent_blob.h"
#include "host/connect/session.h"
#include "proto/msg.h"

/* A host whose agent is this program in a mode. root is a fresh directory (owned), removed by fake_host_free. */
static inline void fake_host(struct er_host *host, const char *mode)
{
        char self[4096];
        ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
        er_autofree char *bin = NULL, *program = NULL, *script = NULL;

        assert_true(len > 0);
        self[len] = '\0';
        *host = (struct er_host){.kind = ER_HOST_LOCAL, .name = er_strdup("fake"), .root = unit_temp_dir()};
        bin = er_path_join(host->root, "bin");
        program = er_fmt("%s/errand-agent-%s", bin, er_agent_build);
        script = er_fmt("#!/bin/sh\nexec '%s' agent %s\n", self, mode);
        assert_int_equal(mkdir(bin, 0700), 0);
        assert_int_equal(er_file_write(AT_FDCWD, program, script, strlen(script), 0700, false, NULL), 0);
}

static inline void fake_host_free(struct er_host *host)
{
        unit_remove(er_strdup(host->root));
        er_host_release(host);
}

static inline struct er_session *fake_open(const struct er_host *host, int64_t connect_ms, struct er_cancel *cancel)
{
        const struct er_session_opts opts = {.connect_ms = connect_ms, .cancel = cancel};
        struct er_session *session = NULL;
        er_auto(er_err) err = ER_ERR_INIT;

        if (er_session_open(host, &opts, &session, &err) < 0)
                fail_msg("%s", err.message);
        return session;
}

/* ---- Inside the agent */

struct fake_in {
        struct er_str buf;
        size_t taken; /* size of the frame given out before */
};

/* The next request; exits at the end of the input. */
static inline struct er_frame fake_next(struct fake_in *in)
{
        struct er_frame frame;

        er_str_drop(&in->buf, in->taken);
        in->taken = 0;
        while (er_frame_parse(in->buf.buf, in->buf.len, &frame, NULL) == 0) {
                char buf[65536];
                ssize_t n = read(0, buf, sizeof buf);

                if (n <= 0)
                        exit(0);
                er_str_addn(&in->buf, buf, (size_t)n);
        }
        in->taken = frame.size;
        return frame;
}

static inline void fake_send(enum er_frame_type type, uint32_t id, const struct er_str *fields)
{
        er_auto(er_str) out = ER_STR_INIT;
        size_t start = er_frame_begin(&out, type, id);

        if (fields)
                er_str_addn(&out, fields->buf, fields->len);
        er_frame_end(&out, start);
        if (er_write_full(1, out.buf, out.len) < 0)
                exit(0);
}

static inline void fake_hello(struct fake_in *in, int64_t skew_ms)
{
        er_auto(er_str) fields = ER_STR_INIT;
        struct er_frame frame = fake_next(in);

        if (frame.type != ER_F_HELLO)
                exit(9);
        er_msg_u64(&fields, ER_T_VERSION, 1);
        er_msg_text(&fields, ER_T_BUILD, "fake");
        er_msg_text(&fields, ER_T_HOSTNAME, "fakehost");
        er_msg_text(&fields, ER_T_ROOT, "/fake");
        er_msg_text(&fields, ER_T_BOOT_ID, "boot");
        er_msg_i64(&fields, ER_T_NOW, er_now_ms() + skew_ms);
        fake_send(ER_F_HELLO_OK, frame.id, &fields);
}

static inline void fake_error(uint32_t id, enum er_code code, const char *provider_code, const char *message)
{
        er_auto(er_err) err = ER_ERR_INIT;
        er_auto(er_str) out = ER_STR_INIT;

        er_err_set(&err, code, "%s", message);
        if (provider_code)
                err.provider_code = er_strdup(provider_code);
        er_frame_error(&out, id, &err);
        if (er_write_full(1, out.buf, out.len) < 0)
                exit(0);
}

#endif
