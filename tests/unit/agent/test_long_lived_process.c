/* Programs that answer line by line, and programs that do not keep to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/long_lived_process.h"
#include "agent/words.h"

struct fixture {
    struct long_lived_process *process;
    struct process_request request;
    struct process_outcome outcome;
    struct words command;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f) {
        return -1;
    }
    f->process = long_lived_process_create();
    f->request.environment = environ;
    f->request.output_max = 4 * 1024 * 1024;
    f->request.timeout_ms = 20000;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    long_lived_process_destroy(f->process, 10000);
    marline__buffer_deinit(&f->outcome.output);
    words_deinit(&f->command);
    free(f);
    return 0;
}

static void use_script(struct fixture *f, const char *script)
{
    words_add(&f->command, "/bin/sh");
    words_add(&f->command, "-c");
    words_add(&f->command, script);
    f->request.argv = f->command.items;
}

static void call(struct fixture *f, const char *line)
{
    marline__buffer_deinit(&f->outcome.output);
    f->request.input = marline__slice_text(line);
    long_lived_process_call(f->process, &f->request, &f->outcome);
}

static void assert_answer(struct fixture *f, const char *line, const char *answer)
{
    call(f, line);
    assert_int_equal(f->outcome.end, PROCESS_ANSWERED);
    assert_string_equal(f->outcome.output.data, answer);
}

static void given_program_of_lines_when_called_often_then_one_process_answers(void **state)
{
    struct fixture *f = *state;
    use_script(f, "n=0; while read -r l; do n=$((n+1)); echo \"$n $l\"; done");
    assert_answer(f, "a", "1 a");
    pid_t pid = f->outcome.pid;
    assert_answer(f, "b", "2 b");
    assert_answer(f, "c", "3 c");
    assert_int_equal(f->outcome.pid, pid);
}

static void given_line_of_megabytes_when_called_then_it_comes_back_whole(void **state)
{
    struct fixture *f = *state;
    size_t size = 3 * 1024 * 1024;
    char *line = malloc(size + 1);
    assert_non_null(line);
    memset(line, 'x', size);
    line[size] = '\0';
    words_add(&f->command, "/bin/cat");
    f->request.argv = f->command.items;
    call(f, line);
    assert_int_equal(f->outcome.end, PROCESS_ANSWERED);
    assert_int_equal(f->outcome.output.size, size);
    assert_memory_equal(f->outcome.output.data, line, size);
    free(line);
}

static void
given_program_that_fails_when_called_then_said_and_the_next_call_starts_anew(void **state)
{
    struct fixture *f = *state;
    use_script(f,
               "read -r l; case $l in bad) echo why >&2; exit 7;; *) echo \"ok $l\"; read -r l;; "
               "esac");
    call(f, "bad");
    assert_int_equal(f->outcome.end, PROCESS_EXITED);
    assert_int_equal(f->outcome.detail, 7);
    assert_string_equal(f->outcome.last_error_line, "why");
    assert_answer(f, "good", "ok good");
}

static void given_program_that_ended_between_calls_when_called_then_started_anew(void **state)
{
    struct fixture *f = *state;
    use_script(f, "read -r l; echo \"only $l\"");
    assert_answer(f, "a", "only a");
    /* Whether its end was seen before the second call or during it, none may hang. */
    call(f, "b");
    assert_true(f->outcome.end == PROCESS_ANSWERED || f->outcome.end == PROCESS_EXITED);
    call(f, "c");
    assert_true(f->outcome.end == PROCESS_ANSWERED || f->outcome.end == PROCESS_EXITED);
}

static void given_program_that_hangs_when_time_is_up_then_killed_and_replaced(void **state)
{
    struct fixture *f = *state;
    use_script(f, "read -r l; case $l in hang) exec tail -f /dev/null;; esac; echo \"ok $l\"; "
                  "read -r l");
    f->request.timeout_ms = 200;
    call(f, "hang");
    assert_int_equal(f->outcome.end, PROCESS_TIMED_OUT);
    f->request.timeout_ms = 20000;
    assert_answer(f, "x", "ok x");
}

static void given_two_lines_for_one_call_when_read_then_ended(void **state)
{
    struct fixture *f = *state;
    use_script(f, "read -r l; printf 'one\\ntwo\\n'; read -r l");
    call(f, "x");
    assert_int_equal(f->outcome.end, PROCESS_CHATTERED);
}

static void given_line_without_end_when_read_then_stopped_at_the_limit(void **state)
{
    struct fixture *f = *state;
    f->request.output_max = 1000;
    use_script(f, "read -r l; exec cat /dev/zero");
    call(f, "x");
    assert_int_equal(f->outcome.end, PROCESS_TOO_LOUD);
}

static bool always(void *user)
{
    (void)user;
    return true;
}

static void given_cancellation_when_called_then_stopped(void **state)
{
    struct fixture *f = *state;
    f->request.is_canceled = always;
    use_script(f, "exec tail -f /dev/null");
    call(f, "x");
    assert_int_equal(f->outcome.end, PROCESS_CANCELED);
}

static void given_no_such_program_when_called_then_not_started(void **state)
{
    struct fixture *f = *state;
    words_add(&f->command, "/no/such/program");
    f->request.argv = f->command.items;
    call(f, "x");
    assert_int_equal(f->outcome.end, PROCESS_NOT_STARTED);
}

static void given_program_that_ignores_eof_when_destroyed_then_killed(void **state)
{
    struct fixture *f = *state;
    use_script(f, "trap '' TERM; read -r l; echo $$; exec tail -f /dev/null");
    call(f, "x");
    assert_int_equal(f->outcome.end, PROCESS_ANSWERED);
    pid_t pid = (pid_t)strtol(f->outcome.output.data, NULL, 10);
    long_lived_process_destroy(f->process, 50);
    f->process = NULL;
    assert_int_equal(kill(pid, 0), -1); /* killed and reaped */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(given_program_of_lines_when_called_often_then_one_process_answers),
        TEST(given_line_of_megabytes_when_called_then_it_comes_back_whole),
        TEST(given_program_that_fails_when_called_then_said_and_the_next_call_starts_anew),
        TEST(given_program_that_ended_between_calls_when_called_then_started_anew),
        TEST(given_program_that_hangs_when_time_is_up_then_killed_and_replaced),
        TEST(given_two_lines_for_one_call_when_read_then_ended),
        TEST(given_line_without_end_when_read_then_stopped_at_the_limit),
        TEST(given_cancellation_when_called_then_stopped),
        TEST(given_no_such_program_when_called_then_not_started),
        TEST(given_program_that_ignores_eof_when_destroyed_then_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
