/*
 * hosts_view.h - hosts and their last answers: asked all at once, shown as a table or as JSON.
 */
#ifndef ER_CLI_HOSTS_VIEW_H
#define ER_CLI_HOSTS_VIEW_H

#include <jansson.h>
#include <pthread.h>
#include "cli/command.h"
#include "host/probe.h"

struct er_host_view {
        struct er_host host;
        bool added, alias; /* added by `hosts add`; alias: merely named in ~/.ssh/config */
        bool has_probe;    /* probe is its answer of probed_ms */
        struct er_probe probe;
        int64_t probed_ms;               /* of the last try; 0: never */
        char *error;                     /* why it failed, or NULL */
        bool asked, answered;            /* this time */
        const struct er_host_view *same; /* another row that shows this machine too, or NULL */
};
struct er_hosts_view {
        pthread_mutex_t lock; /* protects what the threads fill in */
        struct er_host_view *items;
        size_t count;
};

/* Loads all known hosts with what the store has about them; aliases: also those in ~/.ssh/config. */
int er_hosts_view_load(const struct er_cli *cli, bool aliases, struct er_hosts_view *ret, struct er_err *err);
void er_hosts_view_release(struct er_hosts_view *view);
/* Asks one host; for er_fanout_start, with the view as `arg`. */
void er_hosts_view_ask(void *arg, size_t index);
/* Writes the answers to the store. */
int er_hosts_view_save(const struct er_cli *cli, struct er_hosts_view *view, struct er_err *err);
void er_hosts_view_table(struct er_hosts_view *view, struct er_str *out, int width, bool colour, int64_t now_ms);
/* Keys: host, names (all of this machine), target, port, added, reachable, error, asked, latency_ms, hostname, user,
   os, arch, kernel, cpus, cpus_free, memory, memory_free, gpus_free, gpus: [{index, name, memory, memory_free, percent,
   taken}], disk, disk_free, load, running, queued. Sizes are bytes. */
json_t *er_hosts_view_json(struct er_hosts_view *view);
/* "8 cpus, 32 GB memory, 1 GPU (NVIDIA H100)" */
void er_hosts_view_summary(struct er_str *out, const struct er_probe *probe);

#endif
