/*
 * hello.c - the smallest program that uses errand's C API: runs a command on this machine or on the given host, shows
 * its output as it comes, and exits with its exit status.
 *
 *      cc hello.c $(pkg-config --cflags --libs liberrand) -o hello
 *      ./hello [HOST]
 */
#include <errand/errand.h>
#include <stdio.h>

static int show(void *arg, int stream, const void *data, size_t len)
{
        FILE *to = stream == 2 ? stderr : stdout;

        (void)arg;
        fwrite(data, 1, len, to);
        return fflush(to) == 0 ? 0 : 1;
}

static int complain(const struct errand_error *error)
{
        fprintf(stderr, "hello: %s\n", error->message);
        if (error->hint)
                fprintf(stderr, "       %s\n", error->hint);
        return 200 + error->code;
}

int main(int argc, char **argv)
{
        const char *const command[] = {"sh", "-c", "echo hello from $(uname -s); echo 42 > answer.txt", NULL};
        const char *const outputs[] = {"answer.txt", NULL};
        const char *const hosts[] = {argc > 1 ? argv[1] : "local", NULL};
        struct errand_request request = ERRAND_REQUEST_INIT;
        struct errand_error error = ERRAND_ERROR_INIT;
        struct errand_job job = ERRAND_JOB_INIT;
        errand_t *errand = NULL;
        char *name = NULL;
        int status = 0;

        request.argv = command;
        request.outputs = outputs;
        request.hosts = hosts;
        request.sync = 0; /* it needs none of our files */
        if (errand_open(NULL, &errand, &error) < 0)
                return complain(&error);
        if (errand_submit(errand, &request, &name, &error) < 0 ||
            errand_logs(errand, name, 0, 1, show, NULL, NULL, &error) < 0 ||
            errand_wait(errand, name, -1, &job, &error) < 0) {
                status = complain(&error);
        } else {
                fprintf(stderr, "hello: %s is %s; its outputs are in %s\n", job.name, errand_state_name(job.state),
                        job.results_dir);
                status = job.exit_status;
        }
        errand_job_clear(&job);
        errand_error_clear(&error);
        errand_free(name);
        errand_close(errand);
        return status;
}
