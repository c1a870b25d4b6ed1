/* fuzz_spec.c - a spec or a status from the other side or from a disk: what is read is written again as the same. */
#include "fuzz.h"

#include "proto/spec.h"
#include "proto/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        er_auto(er_spec) spec = ER_SPEC_INIT, again = ER_SPEC_INIT;
        er_auto(er_status) status = ER_STATUS_INIT;
        er_auto(er_str) first = ER_STR_INIT, second = ER_STR_INIT;
        er_auto(er_err) err = ER_ERR_INIT;

        if (er_spec_decode(er_svn(data, size), &spec, &err) == 0) {
                FUZZ_CHECK(spec.cpus >= 1);
                er_spec_encode(&spec, &first);
                FUZZ_CHECK(er_spec_decode(er_svn(first.buf, first.len), &again, &err) == 0);
                er_spec_encode(&again, &second);
                FUZZ_CHECK(first.len == second.len && memcmp(first.buf, second.buf, first.len) == 0);
        } else {
                FUZZ_CHECK(err.message && err.code != ER_OK);
        }
        er_status_decode(er_svn(data, size), &status);
        er_str_reset(&first);
        er_status_encode(&status, &first);
        er_status_exit(&status);
        return 0;
}
