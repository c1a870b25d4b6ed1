#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include "base/queue.h"

#define PRODUCERS 4
#define EACH 5000

static void *produce(void *queue)
{
        static char item;

        for (int i = 0; i < EACH; i++)
                er_queue_push(queue, &item);
        return NULL;
}

static void test_order_and_growth(void **state)
{
        er_autoptr(er_queue) queue = er_queue_new();
        static int items[1000];
        size_t next = 0;

        (void)state;
        assert_null(er_queue_pop(queue, 0));
        /* Ahead and behind by turns, so that the ring wraps while it grows. */
        for (size_t i = 0; i < 1000; i++) {
                er_queue_push(queue, &items[i]);
                if (i % 3 == 0)
                        assert_ptr_equal(er_queue_pop(queue, ER_NEVER), &items[next++]);
        }
        while (next < 1000)
                assert_ptr_equal(er_queue_pop(queue, 0), &items[next++]);
        assert_null(er_queue_pop(queue, er_deadline_in(10)));
}

static void test_threads(void **state)
{
        er_autoptr(er_queue) queue = er_queue_new();
        pthread_t threads[PRODUCERS];

        (void)state;
        for (size_t i = 0; i < PRODUCERS; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, produce, queue), 0);
        for (size_t i = 0; i < (size_t)PRODUCERS * EACH; i++)
                assert_non_null(er_queue_pop(queue, er_deadline_in(60000)));
        assert_null(er_queue_pop(queue, 0));
        for (size_t i = 0; i < PRODUCERS; i++)
                pthread_join(threads[i], NULL);
}

static void test_cancel(void **state)
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
                cmocka_unit_test(test_order_and_growth),
                cmocka_unit_test(test_threads),
                cmocka_unit_test(test_cancel),
        };

        return UNIT_RUN(tests);
}
