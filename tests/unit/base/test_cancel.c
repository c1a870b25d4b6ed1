#include "unit.h"

#include <poll.h>
#include "base/cancel.h"

static void test_fires_and_stays(void **state)
{
        er_auto(er_cancel) cancel = {{-1, -1}};
        struct pollfd p;

        (void)state;
        assert_int_equal(er_cancel_init(&cancel), 0);
        assert_false(er_cancel_fired(&cancel));
        for (int i = 0; i < 100000; i++) /* more than a pipe holds */
                er_cancel_fire(&cancel);
        assert_true(er_cancel_fired(&cancel));
        assert_true(er_cancel_fired(&cancel)); /* it stays */
        p = (struct pollfd){.fd = cancel.fds[0], .events = POLLIN};
        assert_int_equal(poll(&p, 1, 0), 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fires_and_stays),
        };

        return UNIT_RUN(tests);
}
