/* secrets.c - see secrets.h */
#include "maestro/secrets.h"

#include <stdlib.h>

static const char *find_given(const struct er_strv *given, const char *name)
{
        size_t len = strlen(name);
        for (size_t i = 0; given && i < given->len; i++)
                if (strncmp(given->items[i], name, len) == 0 && given->items[i][len] == '=')
                        return given->items[i] + len + 1;
        return NULL;
}

const char *er_secrets_find(const struct er_strv *names, const struct er_strv *given, struct er_strv *ret)
{
        const char *missing = NULL;
        for (size_t i = 0; i < names->len; i++) {
                const char *name = names->items[i];
                const char *value = find_given(given, name);
                if (!value)
                        value = getenv(name);
                if (value)
                        er_strv_addf(ret, "%s=%s", name, value);
                else if (!missing)
                        missing = name;
        }
        return missing;
}
