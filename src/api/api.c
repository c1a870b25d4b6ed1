/* api.c - the handle and errors. */
#include "api/impl.h"

#include "api/sized.h"
#include "base/path.h"
#include "er_config.h"

const char *errand_version(void)
{
        return ER_VERSION;
}

void errand_free(void *memory)
{
        free(memory);
}

void errand_error_clear(struct errand_error *error)
{
        free(error->message);
        free(error->hint);
        *error = (struct errand_error)ERRAND_ERROR_INIT;
}

const char *errand_code_name(int code)
{
        return er_code_name((enum er_code)code);
}

int er_api_fail(struct errand_error *error, struct er_err *err)
{
        if (error) {
                errand_error_clear(error);
                error->code = (int)err->code;
                error->retryable = err->retryable;
                error->message = er_strdup(err->message ? err->message : er_code_name(err->code));
                error->hint = er_strdup(err->hint);
        }
        er_err_clear(err);
        return -1;
}

int errand_open(const struct errand_options *options, errand_t **ret, struct errand_error *error)
{
        er_auto(er_err) err = ER_ERR_INIT;
        struct errand_options ours = ERRAND_OPTIONS_INIT;
        er_autofree char *dir = NULL;
        struct er_store *store = NULL;
        struct errand *errand;

        if (options && er_sized_read(&ours, sizeof ours, options, ER_SIZE_UPTO(struct errand_options, state_dir),
                                     "ERRAND_OPTIONS_INIT", &err) < 0)
                return er_api_fail(error, &err);
        dir = ours.state_dir ? er_path_abs(ours.state_dir) : er_dir_state();
        if (er_store_open(dir, &store, &err) < 0)
                return er_api_fail(error, &err);
        errand = er_new(struct errand);
        errand->store = store;
        pthread_mutex_init(&errand->lock, NULL);
        pthread_cond_init(&errand->changed, NULL);
        *ret = errand;
        return 0;
}

void errand_close(errand_t *errand)
{
        if (!errand)
                return;
        er_carrier_stop_all(errand);
        er_store_close(errand->store);
        pthread_cond_destroy(&errand->changed);
        pthread_mutex_destroy(&errand->lock);
        free(errand);
}
