/* See backend_process.h. */
#include "support/backend_process.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/http_client.h"

extern char **environ;

enum { ARGUMENTS_MAX = 24, POLL_MS = 10 };

static uint64_t now_ms(void)
{
    return marline__clock_monotonic_ns(marline__clock_system()) / NS_PER_MS;
}

static const char program[] = MARLINE_BIN_DIR "/marline-backend-mock";

/* Starts the program with one of its streams on a pipe, whose reading end is returned. */
static pid_t spawn(const char *const *arguments, int stream, int *out_reader)
{
    char *argv[ARGUMENTS_MAX] = {(char *)(uintptr_t)program};
    for (size_t i = 0; arguments[i]; i++) {
        assert_true(i + 2 < ARGUMENTS_MAX);
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* A test that fails leaves without stopping it, and must not leave it behind. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)dup2(ends[1], stream);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execv(argv[0], argv);
        _exit(127);
    }
    (void)close(ends[1]);
    *out_reader = ends[0];
    return pid;
}

/* Reads until the text holds `mark` (NULL: until the end). False when the end comes first. */
static bool read_until(int fd, const char *mark, struct buffer *out)
{
    uint64_t deadline = now_ms() + BACKEND_WAIT_MS;
    for (;;) {
        char piece[1024];
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        uint64_t now = now_ms();
        assert_true(now < deadline);
        if (poll(&wait, 1, (int)(deadline - now)) < 0) {
            assert_int_equal(errno, EINTR);
            continue;
        }
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n <= 0) {
            return mark == NULL;
        }
        marline__buffer_append(out, piece, (size_t)n);
        if (mark && strstr(out->data, mark)) {
            return true;
        }
    }
}

static int wait_for_end(pid_t pid)
{
    int status = 0;
    uint64_t deadline = now_ms() + BACKEND_WAIT_MS;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        (void)poll(NULL, 0, POLL_MS);
        if (now_ms() >= deadline) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, &status, 0);
            fail_msg("the backend did not end");
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The word after a label of the block that the program prints. */
static void copy_word_after(const char *text, const char *label, char out[BACKEND_TEXT_SIZE])
{
    const char *at = strstr(text, label);
    assert_non_null(at);
    at += strlen(label);
    at += strspn(at, " ");
    size_t size = strcspn(at, " \n");
    assert_true(size > 0 && size < BACKEND_TEXT_SIZE);
    memcpy(out, at, size);
    out[size] = '\0';
}

void backend_process_start(struct backend_process *b, const char *const *arguments)
{
    const char *all[ARGUMENTS_MAX] = {"serve", "--listen", "127.0.0.1:0"};
    size_t count = 3;
    for (size_t i = 0; arguments[i]; i++) {
        assert_true(count + 1 < ARGUMENTS_MAX);
        all[count++] = arguments[i];
    }
    b->pid = spawn(all, STDOUT_FILENO, &b->output);
    struct buffer text = BUFFER_INIT;
    assert_true(read_until(b->output, "export RHESIS_API_KEY=", &text));
    copy_word_after(text.data, "base URL", b->base_url);
    copy_word_after(text.data, "project ", b->project_id);
    copy_word_after(text.data, "organization", b->organization_id);
    copy_word_after(text.data, "key ", b->api_key);
    b->port = (uint16_t)strtoul(strrchr(b->base_url, ':') + 1, NULL, 10);
    marline__buffer_deinit(&text);
}

int backend_process_stop(struct backend_process *b)
{
    assert_int_equal(kill(b->pid, SIGTERM), 0);
    int code = wait_for_end(b->pid);
    (void)close(b->output);
    return code;
}

void backend_process_kill(struct backend_process *b)
{
    assert_int_equal(kill(b->pid, SIGKILL), 0);
    assert_int_equal(wait_for_end(b->pid), 128 + SIGKILL);
    (void)close(b->output);
}

int backend_process_run(const char *const *arguments, struct buffer *error_text)
{
    int reader;
    pid_t pid = spawn(arguments, STDERR_FILENO, &reader);
    assert_true(read_until(reader, NULL, error_text));
    (void)close(reader);
    return wait_for_end(pid);
}

void backend_request(const struct backend_process *b, const char *method, const char *path,
                     const char *key, const char *body, struct backend_answer *out)
{
    backend_request_with(b, method, path, key, NULL, body, out);
}

void backend_request_with(const struct backend_process *b, const char *method, const char *path,
                          const char *key, const char *header, const char *body,
                          struct backend_answer *out)
{
    char url[1024];
    char authorization[256];
    (void)snprintf(url, sizeof(url), "%s%s", b->base_url, path);
    (void)snprintf(authorization, sizeof(authorization), "Authorization: Bearer %s",
                   key ? key : b->api_key);
    const char *headers[3] = {"Content-Type: application/json"};
    size_t count = 1;
    if (!key || key[0]) {
        headers[count++] = authorization;
    }
    if (header) {
        headers[count++] = header;
    }
    struct http_request request = {.method = method,
                                   .url = url,
                                   .headers = headers,
                                   .header_count = count,
                                   .body = marline__slice_text(body),
                                   .timeout_ms = BACKEND_WAIT_MS};
    struct http_client *client = marline__http_client_create(NULL);
    assert_non_null(client);
    struct http_response response = HTTP_RESPONSE_INIT;
    marline_error error = {0};
    if (marline__http_client_perform(client, &request, &response, &error) != MARLINE_OK) {
        fail_msg("%s %s: %s", method, path, error.text);
    }
    out->status = response.status;
    out->body = response.body;
    response.body = BUFFER_INIT;
    marline__buffer_append(&out->body, "", 0);
    marline__http_response_deinit(&response);
    marline__http_client_destroy(client);
}

void backend_answer_deinit(struct backend_answer *a)
{
    marline__buffer_deinit(&a->body);
}

void backend_wait_for(const struct backend_process *b, const char *path, const char *text,
                      struct backend_answer *out)
{
    backend_wait_for_as(b, NULL, path, text, out);
}

void backend_wait_for_as(const struct backend_process *b, const char *key, const char *path,
                         const char *text, struct backend_answer *out)
{
    uint64_t deadline = now_ms() + BACKEND_WAIT_MS;
    for (;;) {
        backend_request(b, "GET", path, key, NULL, out);
        if (out->body.data && strstr(out->body.data, text)) {
            return;
        }
        if (now_ms() >= deadline) {
            fail_msg("%s never held %s: %s", path, text, out->body.data);
        }
        backend_answer_deinit(out);
        (void)poll(NULL, 0, POLL_MS);
    }
}
