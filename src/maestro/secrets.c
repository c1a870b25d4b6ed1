/* secrets.c - see secrets.h */
#include "maestro/secrets.h"

#include <stdlib.h>

const char *er_secrets_find(const struct er_strv *names, const struct er_strv *given, struct er_strv *ret)
{
        const char *missing = NULL;

        for (size_t i = 0; i < names->len; i++) {
                const char *name = names->items[i];
                const char *value = given ? er_strv_value(given, name) : NULL;

                if (!value)
                        value = getenv(name);
                if (value)
                        er_strv_addf(ret, "%s=%s", name, value);
                else if (!missing)
                        missing = name;
        }
        return missing;
}
