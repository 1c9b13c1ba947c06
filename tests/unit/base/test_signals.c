/* SIGPIPE held back from the caller, and threads that receive no signal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/signals.h"

/* A pipe that nobody reads from. Returns the end to write to. */
static int broken_pipe(void)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    return ends[1];
}

static bool is_blocked(int signal_number)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, signal_number) == 1;
}

static bool is_pending(int signal_number)
{
    sigset_t pending;
    assert_int_equal(sigpending(&pending), 0);
    return sigismember(&pending, signal_number) == 1;
}

static void given_default_disposition_when_peer_is_gone_then_write_fails_and_process_lives(void **s)
{
    (void)s;
    struct sigpipe_hold hold;
    int fd = broken_pipe();
    assert_ptr_equal(signal(SIGPIPE, SIG_DFL), SIG_DFL);
    marline__sigpipe_hold(&hold);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    assert_true(is_pending(SIGPIPE));
    marline__sigpipe_release(&hold);
    assert_int_equal(errno, EPIPE);
    assert_false(is_pending(SIGPIPE));
    assert_false(is_blocked(SIGPIPE));
    close(fd);
}

static void given_signal_of_the_programs_own_when_released_then_still_pending(void **s)
{
    (void)s;
    sigset_t set;
    struct sigpipe_hold hold;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    assert_int_equal(pthread_kill(pthread_self(), SIGPIPE), 0);
    marline__sigpipe_hold(&hold);
    marline__sigpipe_release(&hold);
    assert_true(is_pending(SIGPIPE));
    assert_true(is_blocked(SIGPIPE));
    int taken = 0;
    assert_int_equal(sigwait(&set, &taken), 0);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void given_hold_inside_a_hold_then_outer_one_keeps_blocking(void **s)
{
    (void)s;
    struct sigpipe_hold outer;
    struct sigpipe_hold inner;
    marline__sigpipe_hold(&outer);
    marline__sigpipe_hold(&inner);
    marline__sigpipe_release(&inner);
    assert_true(is_blocked(SIGPIPE));
    marline__sigpipe_release(&outer);
    assert_false(is_blocked(SIGPIPE));
}

static void *note_mask(void *user)
{
    bool *blocked = user;
    *blocked = is_blocked(SIGTERM) && is_blocked(SIGPIPE) && is_blocked(SIGUSR1);
    return NULL;
}

static void given_thread_of_the_library_then_signals_go_to_the_program(void **s)
{
    (void)s;
    pthread_t thread;
    bool blocked = false;
    assert_int_equal(marline__thread_start(&thread, note_mask, &blocked), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(blocked);
    assert_false(is_blocked(SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            given_default_disposition_when_peer_is_gone_then_write_fails_and_process_lives),
        cmocka_unit_test(given_signal_of_the_programs_own_when_released_then_still_pending),
        cmocka_unit_test(given_hold_inside_a_hold_then_outer_one_keeps_blocking),
        cmocka_unit_test(given_thread_of_the_library_then_signals_go_to_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
