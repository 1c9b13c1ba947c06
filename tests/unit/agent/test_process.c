/* Programs that behave and programs that do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/process.h"
#include "agent/words.h"
#include "base/clock.h"

enum { LINES_KEPT = 8, LINE_KEPT = 64 };

struct fixture {
    struct process_request request;
    struct process_outcome outcome;
    size_t line_count;
    char lines[LINES_KEPT][LINE_KEPT];
    bool canceled;
    int descriptors;
};

static int count_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder && readdir(folder)) {
        count++;
    }
    if (folder) {
        (void)closedir(folder);
    }
    return count;
}

static void keep_line(void *user, const char *line)
{
    struct fixture *f = user;
    if (f->line_count < LINES_KEPT) {
        (void)snprintf(f->lines[f->line_count], LINE_KEPT, "%s", line);
    }
    f->line_count++;
}

static bool is_canceled(void *user)
{
    return ((struct fixture *)user)->canceled;
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) {
        return -1;
    }
    f->request.environment = environ;
    f->request.output_max = 4 * 1024 * 1024;
    f->request.timeout_ms = 20000;
    f->request.on_error_line = keep_line;
    f->request.user = f;
    f->descriptors = count_descriptors();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    marline__buffer_deinit(&f->outcome.output);
    int descriptors = count_descriptors();
    int leaked = descriptors - f->descriptors;
    free(f);
    return leaked;
}

static void run_shell(struct fixture *f, const char *script)
{
    struct words command = {0};
    words_add(&command, "/bin/sh");
    words_add(&command, "-c");
    words_add(&command, script);
    f->request.argv = command.items;
    process_run(&f->request, &f->outcome);
    words_deinit(&command);
}

static uint64_t now_ms(void)
{
    return marline__clock_monotonic_ns(marline__clock_system()) / NS_PER_MS;
}

static void given_program_that_echoes_when_run_then_output_is_the_input(void **state)
{
    struct fixture *f = *state;
    f->request.input = SLICE("{\"a\":1}");
    run_shell(f, "cat; echo one >&2; printf 'two\\r\\n\\n' >&2; printf three >&2");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_int_equal(f->outcome.detail, 0);
    assert_string_equal(f->outcome.output.data, "{\"a\":1}");
    assert_int_equal(f->line_count, 3);
    assert_string_equal(f->lines[0], "one");
    assert_string_equal(f->lines[1], "two");
    assert_string_equal(f->outcome.last_error_line, "three");
}

static void given_failing_program_when_run_then_status_and_last_line(void **state)
{
    struct fixture *f = *state;
    run_shell(f, "echo first >&2; echo 'ValueError: bad' >&2; exit 3");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_int_equal(f->outcome.detail, 3);
    assert_string_equal(f->outcome.last_error_line, "ValueError: bad");
}

static void given_program_that_dies_by_signal_when_run_then_signal_named(void **state)
{
    struct fixture *f = *state;
    run_shell(f, "kill -SEGV $$");
    assert_int_equal(f->outcome.end, PROCESS_SIGNALED);
    assert_int_equal(f->outcome.detail, SIGSEGV);
}

static void given_silent_program_when_run_then_output_empty(void **state)
{
    struct fixture *f = *state;
    run_shell(f, ":");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_int_equal(f->outcome.output.size, 0);
    assert_string_equal(f->outcome.last_error_line, "");
}

static void given_no_such_program_when_run_then_not_started(void **state)
{
    struct fixture *f = *state;
    struct words command = {0};
    words_add(&command, "/no/such/program");
    f->request.argv = command.items;
    process_run(&f->request, &f->outcome);
    words_deinit(&command);
    assert_int_equal(f->outcome.end, PROCESS_NOT_STARTED);
    assert_int_equal(f->outcome.detail, ENOENT);
}

static void given_megabytes_both_ways_when_run_then_all_arrive(void **state)
{
    struct fixture *f = *state;
    size_t size = 3 * 1024 * 1024;
    char *input = malloc(size);
    assert_non_null(input);
    memset(input, 'x', size);
    f->request.input = (struct slice){input, size};
    run_shell(f, "cat");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_int_equal(f->outcome.output.size, size);
    assert_memory_equal(f->outcome.output.data, input, size);
    free(input);
}

static void given_megabytes_on_stderr_when_run_then_lines_are_cut(void **state)
{
    struct fixture *f = *state;
    run_shell(f, "head -c 1000000 /dev/zero | tr '\\0' 'e' >&2; echo done");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_int_equal(f->line_count, 1000000 / PROCESS_LINE_MAX);
    assert_int_equal(strlen(f->outcome.last_error_line), PROCESS_LAST_LINE_SIZE - 1);
}

static void given_too_much_output_when_run_then_stopped_at_the_limit(void **state)
{
    struct fixture *f = *state;
    f->request.output_max = 1000;
    run_shell(f, "exec cat /dev/zero");
    assert_int_equal(f->outcome.end, PROCESS_TOO_LOUD);
    assert_int_equal(f->outcome.output.size, 1000);
}

static void given_output_of_exactly_the_limit_when_run_then_accepted(void **state)
{
    struct fixture *f = *state;
    f->request.output_max = 1000;
    run_shell(f, "head -c 1000 /dev/zero");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_int_equal(f->outcome.output.size, 1000);
}

static void given_program_that_closes_stdin_when_run_then_unharmed(void **state)
{
    struct fixture *f = *state;
    size_t size = 1024 * 1024;
    char *input = calloc(1, size);
    assert_non_null(input);
    f->request.input = (struct slice){input, size};
    run_shell(f, "exec <&-; echo out");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_string_equal(f->outcome.output.data, "out\n");
    free(input);
}

static void given_hanging_program_when_time_is_up_then_ended_by_term(void **state)
{
    struct fixture *f = *state;
    f->request.timeout_ms = 2500; /* enough for the shell to come that far */
    run_shell(f, "trap 'echo last word; exit' TERM; echo partial; tail -f /dev/null & wait");
    assert_int_equal(f->outcome.end, PROCESS_TIMED_OUT);
    assert_string_equal(f->outcome.output.data, "partial\nlast word\n");
}

static void given_program_that_ignores_term_when_time_is_up_then_killed(void **state)
{
    struct fixture *f = *state;
    f->request.timeout_ms = 100;
    run_shell(f, "trap '' TERM; exec tail -f /dev/null");
    assert_int_equal(f->outcome.end, PROCESS_TIMED_OUT);
}

static void given_cancellation_when_running_then_stopped(void **state)
{
    struct fixture *f = *state;
    f->canceled = true;
    f->request.is_canceled = is_canceled;
    run_shell(f, "exec tail -f /dev/null");
    assert_int_equal(f->outcome.end, PROCESS_CANCELED);
}

/* Waits until the process is gone, at most 10 s. */
static void assert_gone(pid_t pid)
{
    int fd = pidfd_open(pid, 0);
    if (fd < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    struct pollfd end = {fd, POLLIN, 0};
    int ready = poll(&end, 1, 10000);
    (void)close(fd);
    assert_int_equal(ready, 1);
}

static void given_program_that_forks_and_leaves_when_run_then_child_is_killed(void **state)
{
    struct fixture *f = *state;
    uint64_t start = now_ms();
    run_shell(f, "tail -f /dev/null & echo $!");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_true(now_ms() - start < 10000);
    assert_gone((pid_t)strtol(f->outcome.output.data, NULL, 10));
}

static void given_children_of_a_hanging_program_when_time_is_up_then_killed_too(void **state)
{
    struct fixture *f = *state;
    f->request.timeout_ms = 2500; /* enough for the shell to come that far */
    run_shell(f, "trap '' TERM; tail -f /dev/null & echo $!; wait; wait");
    assert_int_equal(f->outcome.end, PROCESS_TIMED_OUT);
    assert_gone((pid_t)strtol(f->outcome.output.data, NULL, 10));
}

static void given_folder_when_run_then_program_starts_there(void **state)
{
    struct fixture *f = *state;
    f->request.folder = "/usr";
    run_shell(f, "pwd");
    assert_string_equal(f->outcome.output.data, "/usr\n");
}

static void given_ignored_sigpipe_and_blocked_signals_when_run_then_not_inherited(void **state)
{
    struct fixture *f = *state;
    sigset_t term;
    (void)sigemptyset(&term);
    (void)sigaddset(&term, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &term, NULL), 0);
    run_shell(f, "grep -E 'Sig(Blk|Ign)' /proc/self/status");
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &term, NULL), 0);
    /* Signals above 31 are the C library's own business. */
    const char *blocked = strstr(f->outcome.output.data, "SigBlk:");
    const char *ignored = strstr(f->outcome.output.data, "SigIgn:");
    assert_non_null(blocked);
    assert_non_null(ignored);
    assert_true((strtoull(blocked + 7, NULL, 16) & 0x7fffffff) == 0);
    assert_true((strtoull(ignored + 7, NULL, 16) & 0x7fffffff) == 0);
}

static void given_open_descriptors_when_run_then_only_three_are_inherited(void **state)
{
    struct fixture *f = *state;
    int leak = dup(STDERR_FILENO); /* without close-on-exec, as careless libraries leave them */
    assert_true(leak > STDERR_FILENO);
    /* No pipeline: the shell would hold its ends for a moment. The colon keeps the shell alive. */
    run_shell(f, "ls /proc/$$/fd; :");
    (void)close(leak);
    assert_string_equal(f->outcome.output.data, "0\n1\n2\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(given_program_that_echoes_when_run_then_output_is_the_input),
        TEST(given_failing_program_when_run_then_status_and_last_line),
        TEST(given_program_that_dies_by_signal_when_run_then_signal_named),
        TEST(given_silent_program_when_run_then_output_empty),
        TEST(given_no_such_program_when_run_then_not_started),
        TEST(given_megabytes_both_ways_when_run_then_all_arrive),
        TEST(given_megabytes_on_stderr_when_run_then_lines_are_cut),
        TEST(given_too_much_output_when_run_then_stopped_at_the_limit),
        TEST(given_output_of_exactly_the_limit_when_run_then_accepted),
        TEST(given_program_that_closes_stdin_when_run_then_unharmed),
        TEST(given_hanging_program_when_time_is_up_then_ended_by_term),
        TEST(given_program_that_ignores_term_when_time_is_up_then_killed),
        TEST(given_cancellation_when_running_then_stopped),
        TEST(given_program_that_forks_and_leaves_when_run_then_child_is_killed),
        TEST(given_children_of_a_hanging_program_when_time_is_up_then_killed_too),
        TEST(given_folder_when_run_then_program_starts_there),
        TEST(given_ignored_sigpipe_and_blocked_signals_when_run_then_not_inherited),
        TEST(given_open_descriptors_when_run_then_only_three_are_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
