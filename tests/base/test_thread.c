/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sched.h>
#include <sys/resource.h>
#include <signal.h>
#include <string.h>

struct seen {
    char name[16];
    sigset_t mask;
};

static void *look_around(void *arg)
{
    struct seen *s = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &s->mask);
    /* The starter names the thread; it may do so after the thread has begun. */
    do {
        pthread_getname_np(pthread_self(), s->name, sizeof s->name);
    } while (strcmp(s->name, "worker-0") != 0);
    return s;
}

static void *give_way(void *arg)
{
    int *nice = arg;
    gal_thread_give_way(5);
    *nice = getpriority(PRIO_PROCESS, 0); /* of this thread, on Linux */
    return NULL;
}

static void a_thread_gives_way_alone(void **state)
{
    pthread_t thread;
    int before = getpriority(PRIO_PROCESS, 0), nice = 0;
    (void)state;
    assert_int_equal(gal_thread_start(&thread, "worker-0", give_way, &nice, NULL), GAL_OK);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(nice, before > 5 ? before : 5);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
}

static void threads_have_a_name_and_no_signals(void **state)
{
    (void)state;
    pthread_t thread;
    struct seen seen;
    sigset_t mine;
    void *result;
    assert_int_equal(gal_thread_start(&thread, "worker-0", look_around, &seen, NULL), GAL_OK);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &seen);
    assert_int_equal(sigismember(&seen.mask, SIGTERM), 1);
    assert_int_equal(sigismember(&seen.mask, SIGINT), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_int_equal(sigismember(&mine, SIGTERM), 0);
}

static void quotas_are_rounded_up(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned cpus;
    } rows[] = {
        {"max 100000\n", 0},
        {"max", 0},
        {"", 0},
        {"100000 100000\n", 1},
        {"150000 100000", 2},
        {"50000 100000", 1},
        {"400000 100000\n", 4},
        {"1 100000", 1},
        {"100000", 0},
        {"0 100000", 0},
        {"100000 0", 0},
        {"-1 100000", 0},
        {"x y", 0},
        {"100000 x", 0},
        {"18446744073709551615 1", 4294967295u},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(gal_cpu_quota_parse(rows[i].text), rows[i].cpus);
}

static void the_count_is_within_the_affinity_mask(void **state)
{
    (void)state;
    cpu_set_t before, one;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    unsigned count = gal_cpu_count();
    assert_in_range(count, 1, CPU_COUNT(&before));
    size_t first = 0;
    while (!CPU_ISSET(first, &before))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(gal_cpu_count(), 1);
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    gal_alloc_fail_at(1, 0); /* no quota can be read then */
    unsigned blind = gal_cpu_count();
    gal_alloc_fail_at(0, 0);
    assert_int_equal(blind, CPU_COUNT(&before));
}

static void *take_pieces(void *arg)
{
    int *nice_of = arg;
    gal_thread_slice(100); /* what the kernel makes of it is its own; nothing else may change */
    nice_of[0] = getpriority(PRIO_PROCESS, 0);
    gal_thread_slice(200);
    nice_of[1] = getpriority(PRIO_PROCESS, 0);
    return NULL;
}

static void pieces_do_not_change_a_threads_share(void **state)
{
    (void)state;
    int before = getpriority(PRIO_PROCESS, 0), nice_of[2];
    pthread_t thread;
    assert_int_equal(gal_thread_start(&thread, "yields", take_pieces, nice_of, NULL), GAL_OK);
    pthread_join(thread, NULL);
    assert_int_equal(nice_of[0], before);
    assert_int_equal(nice_of[1], before);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_gives_way_alone),
        cmocka_unit_test(threads_have_a_name_and_no_signals),
        cmocka_unit_test(quotas_are_rounded_up),
        cmocka_unit_test(the_count_is_within_the_affinity_mask),
        cmocka_unit_test(pieces_do_not_change_a_threads_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
