/* The WebSocket shell against a scripted server: look-up, handshake, refusals, messages, ends. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../support/frame_server.h"
#include "base/clock.h"
#include "io/websocket_client.h"

enum { EVENTS_MAX = 32, MESSAGE_MAX = 100000 };

enum event_type { OPENED, REFUSED, TEXT, CLOSED, TIMER, ALIVE };

struct event {
    enum event_type type;
    int number; /* status or code */
    bool by_peer;
    size_t size;
    char text[256];
};

/* A name server that a test speaks for. */
struct names {
    struct look_up_answer answer;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool silent; /* answers only when this is over */
    int asked;
    int answered;
    char host[64]; /* asked for last */
};

/* A client with its loop thread, and what it reported. */
struct probe {
    struct names names;
    struct frame_server server;
    struct websocket_client *ws;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct event events[EVENTS_MAX];
    size_t count;
    size_t read;
    const char *to_write; /* loop thread; written once when writable */
    /* under lock: what the loop thread is to do at its next `woken` */
    bool stop;
    bool connect;
    bool close;
    bool time;
    const char *write;
};

static void record(struct probe *p, enum event_type type, int number, bool by_peer,
                   struct slice text)
{
    pthread_mutex_lock(&p->lock);
    if (p->count < EVENTS_MAX) {
        struct event *event = &p->events[p->count++];
        event->type = type;
        event->number = number;
        event->by_peer = by_peer;
        event->size = text.size;
        (void)snprintf(event->text, sizeof event->text, "%.*s", SLICE_ARG(text));
    }
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->lock);
}

static void on_opened(void *user)
{
    record(user, OPENED, 0, false, SLICE_EMPTY);
}

static void on_refused(void *user, int status, const char *reason)
{
    record(user, REFUSED, status, false, marline__slice_text(reason));
}

static void on_text(void *user, struct slice message)
{
    record(user, TEXT, 0, false, message);
}

static void on_closed(void *user, const struct websocket_end *end)
{
    record(user, CLOSED, end->code, end->by_peer, end->reason);
}

static void on_writable(void *user)
{
    struct probe *p = user;
    if (p->to_write) {
        assert_int_equal(marline__websocket_write_text(p->ws, marline__slice_text(p->to_write)),
                         MARLINE_OK);
        p->to_write = NULL;
    }
}

static void on_alive(void *user)
{
    record(user, ALIVE, 0, false, SLICE_EMPTY);
}

static void on_timer(void *user)
{
    record(user, TIMER, 0, false, SLICE_EMPTY);
}

static void on_woken(void *user)
{
    struct probe *p = user;
    pthread_mutex_lock(&p->lock);
    bool connect = p->connect;
    bool close = p->close;
    bool time = p->time;
    if (p->write) {
        p->to_write = p->write;
        p->write = NULL;
    }
    p->connect = p->close = p->time = false;
    pthread_mutex_unlock(&p->lock);
    if (connect) {
        marline__websocket_connect(p->ws);
    }
    if (close) {
        marline__websocket_close(p->ws, WEBSOCKET_CLOSE_NORMAL, "done");
    }
    if (time) {
        marline__websocket_set_timer(p->ws, 1);
    }
    if (p->to_write) {
        marline__websocket_want_write(p->ws);
    }
}

static void *loop(void *user)
{
    struct probe *p = user;
    for (;;) {
        pthread_mutex_lock(&p->lock);
        bool stop = p->stop;
        pthread_mutex_unlock(&p->lock);
        if (stop) {
            return NULL;
        }
        marline__websocket_run(p->ws);
    }
}

static void find(void *user, const char *host, struct look_up_answer *out)
{
    struct names *names = user;
    pthread_mutex_lock(&names->lock);
    names->asked++;
    (void)snprintf(names->host, sizeof names->host, "%s", host);
    pthread_cond_broadcast(&names->changed);
    while (names->silent) {
        pthread_cond_wait(&names->changed, &names->lock);
    }
    *out = names->answer;
    names->answered++;
    pthread_cond_broadcast(&names->changed);
    pthread_mutex_unlock(&names->lock);
}

static void fall_silent(struct probe *p)
{
    pthread_mutex_lock(&p->names.lock);
    p->names.silent = true;
    pthread_mutex_unlock(&p->names.lock);
}

static void speak(struct probe *p)
{
    pthread_mutex_lock(&p->names.lock);
    p->names.silent = false;
    pthread_cond_broadcast(&p->names.changed);
    pthread_mutex_unlock(&p->names.lock);
}

static void wait_until(struct probe *p, const int *counter, int value)
{
    pthread_mutex_lock(&p->names.lock);
    while (*counter < value) {
        pthread_cond_wait(&p->names.changed, &p->names.lock);
    }
    pthread_mutex_unlock(&p->names.lock);
}

/* Before the names are freed: every test has waited until what it asked had arrived here. */
static void end_look_ups(struct probe *p)
{
    pthread_mutex_lock(&p->names.lock);
    while (p->names.answered < p->names.asked) {
        pthread_cond_wait(&p->names.changed, &p->names.lock);
    }
    pthread_mutex_unlock(&p->names.lock);
}

static void add_address(struct probe *p, const char *address)
{
    struct look_up_answer *answer = &p->names.answer;
    (void)snprintf(answer->addresses[answer->count++], LOOK_UP_ADDRESS_SIZE, "%s", address);
}

/* Where it is not what is tested, a handshake may take as long as a busy machine wants. */
enum { SOON_HANDSHAKE_S = 4, LONG_HANDSHAKE_S = 60, SHORT_HANDSHAKE_S = 1 };

static const struct websocket_header headers[] = {{"Authorization", "Bearer rh-key"},
                                                  {"X-Rhesis-Environment", "development"}};

/* `host` replaces the address in the URL of the server. */
static int start_probe(void **state, const char *host, uint16_t ping_after_s, uint32_t connect_s)
{
    struct probe *p = calloc(1, sizeof *p);
    frame_server_start(&p->server);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->changed, NULL);
    pthread_mutex_init(&p->names.lock, NULL);
    pthread_cond_init(&p->names.changed, NULL);
    char url[128];
    (void)snprintf(url, sizeof url, "ws://%s:%u/x/connector/ws", host, p->server.port);
    const struct name_source names = {find, &p->names};
    const struct websocket_options options = {.url = url,
                                              .headers = headers,
                                              .header_count = 2,
                                              .message_max = MESSAGE_MAX,
                                              .connect_timeout_s = connect_s,
                                              .ping_after_s = ping_after_s,
                                              .hang_up_after_s = 90,
                                              .names = &names};
    const struct websocket_events events = {on_opened, on_refused, on_text,  on_closed, on_writable,
                                            on_alive,  on_woken,   on_timer, p};
    marline_error error;
    assert_int_equal(marline__websocket_create(&options, &events, &p->ws, &error), MARLINE_OK);
    assert_int_equal(pthread_create(&p->thread, NULL, loop, p), 0);
    *state = p;
    return 0;
}

static int set_up(void **state)
{
    return start_probe(state, "127.0.0.1", 60, LONG_HANDSHAKE_S);
}

static int set_up_in_a_hurry(void **state)
{
    return start_probe(state, "127.0.0.1", 60, SOON_HANDSHAKE_S);
}

static int set_up_soon_pinging(void **state)
{
    return start_probe(state, "127.0.0.1", 1, LONG_HANDSHAKE_S);
}

static int set_up_named(void **state)
{
    return start_probe(state, "backend.test", 60, LONG_HANDSHAKE_S);
}

static int set_up_named_in_a_hurry(void **state)
{
    return start_probe(state, "backend.test", 60, SHORT_HANDSHAKE_S);
}

static int tear_down(void **state)
{
    struct probe *p = *state;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_mutex_unlock(&p->lock);
    marline__websocket_wake(p->ws);
    pthread_join(p->thread, NULL);
    marline__websocket_destroy(p->ws); /* does not wait for a look-up */
    speak(p);
    end_look_ups(p);
    frame_server_stop(&p->server);
    pthread_cond_destroy(&p->names.changed);
    pthread_mutex_destroy(&p->names.lock);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    free(p);
    return 0;
}

static void ask_connect(struct probe *p)
{
    pthread_mutex_lock(&p->lock);
    p->connect = true;
    pthread_mutex_unlock(&p->lock);
    marline__websocket_wake(p->ws);
}

static const struct event *next_event(struct probe *p)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += FRAME_SERVER_WAIT_MS / 1000;
    pthread_mutex_lock(&p->lock);
    int waited = 0;
    while (p->read == p->count && waited == 0) {
        waited = pthread_cond_timedwait(&p->changed, &p->lock, &deadline);
    }
    bool there = p->read < p->count;
    const struct event *event = &p->events[p->read];
    p->read += there;
    pthread_mutex_unlock(&p->lock);
    if (!there) {
        fail_msg("no event came");
    }
    return event;
}

static const struct event *expect_event(struct probe *p, enum event_type type)
{
    const struct event *event = next_event(p);
    if (event->type != type) {
        fail_msg("event %d with %d '%s' instead of %d", event->type, event->number, event->text,
                 type);
    }
    return event;
}

static void open_connection(struct probe *p)
{
    ask_connect(p);
    frame_server_accept_open(&p->server);
    (void)expect_event(p, OPENED);
}

/* ---- handshake ---- */

static void given_server_when_connect_then_headers_and_no_extension(void **state)
{
    struct probe *p = *state;
    ask_connect(p);
    frame_server_accept_open(&p->server);
    (void)expect_event(p, OPENED);
    assert_memory_equal(p->server.head.data, "GET /x/connector/ws HTTP/1.1\r\n", 30);
    assert_string_equal(frame_server_header(&p->server, "Authorization"), "Bearer rh-key");
    assert_string_equal(frame_server_header(&p->server, "X-Rhesis-Environment"), "development");
    assert_string_equal(frame_server_header(&p->server, "Sec-WebSocket-Version"), "13");
    assert_string_equal(frame_server_header(&p->server, "Sec-WebSocket-Extensions"), "");
    assert_string_equal(frame_server_header(&p->server, "Sec-WebSocket-Protocol"), "");
    char host[64];
    (void)snprintf(host, sizeof host, "127.0.0.1:%u", p->server.port);
    assert_string_equal(frame_server_header(&p->server, "Host"), host);
}

static void given_answer_other_than_101_when_connect_then_refused_with_its_status(void **state)
{
    struct probe *p = *state;
    static const struct {
        const char *line;
        int status;
    } cases[] = {{"HTTP/1.1 403 Forbidden", 403},
                 {"HTTP/1.1 401 Unauthorized", 401},
                 {"HTTP/1.1 400 Bad Request", 400},
                 {"HTTP/1.1 404 Not Found", 404},
                 {"HTTP/1.1 429 Too Many Requests", 429},
                 {"HTTP/1.1 503 Service Unavailable", 503},
                 {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/", 302},
                 {"HTTP/1.1 200 OK", 200}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char answer[256];
        (void)snprintf(answer, sizeof answer, "%s\r\nContent-Length: 0\r\n\r\n", cases[i].line);
        ask_connect(p);
        frame_server_accept(&p->server);
        frame_server_send_line(&p->server, answer);
        const struct event *event = expect_event(p, REFUSED);
        assert_int_equal(event->number, cases[i].status);
    }
}

static void given_wrong_accept_key_when_connect_then_refused(void **state)
{
    struct probe *p = *state;
    ask_connect(p);
    frame_server_accept(&p->server);
    frame_server_send_line(&p->server, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                       "Connection: Upgrade\r\nSec-WebSocket-Accept: "
                                       "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    assert_string_not_equal(expect_event(p, REFUSED)->text, "");
}

static void given_end_of_connection_in_handshake_when_connect_then_refused(void **state)
{
    struct probe *p = *state;
    ask_connect(p);
    frame_server_accept(&p->server);
    frame_server_drop(&p->server);
    assert_int_equal(expect_event(p, REFUSED)->number, 0);
}

static void
given_silent_server_when_connect_then_refused_in_time_and_next_attempt_works(void **state)
{
    struct probe *p = *state;
    ask_connect(p);
    frame_server_accept(&p->server);
    assert_non_null(strstr(expect_event(p, REFUSED)->text, "in time"));
    open_connection(p);
}

static void given_nobody_listens_when_connect_then_refused_and_next_attempt_works(void **state)
{
    struct probe *p = *state;
    frame_server_refuse(&p->server);
    ask_connect(p);
    assert_int_equal(expect_event(p, REFUSED)->number, 0);
    ask_connect(p);
    assert_int_equal(expect_event(p, REFUSED)->number, 0);
}

/* ---- names ---- */

static void
given_name_when_first_address_refuses_then_second_is_taken_and_host_is_the_name(void **state)
{
    struct probe *p = *state;
    add_address(p, "127.0.0.2"); /* nobody listens there */
    add_address(p, "127.0.0.1");
    open_connection(p);
    char host[64];
    (void)snprintf(host, sizeof host, "backend.test:%u", p->server.port);
    assert_string_equal(frame_server_header(&p->server, "Host"), host);
    assert_string_equal(p->names.host, "backend.test");
}

/* An address that takes no connection and refuses none: its queue is full. */
static int block_address(const char *address, uint16_t port, int fillers[16])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, address, &at.sin_addr), 1);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 0), 0);
    for (size_t i = 0; i < 16; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&at, sizeof at);
    }
    return listener;
}

static void given_name_when_first_address_is_silent_then_second_is_taken_soon(void **state)
{
    struct probe *p = *state;
    int fillers[16];
    int listener = block_address("127.0.0.2", p->server.port, fillers);
    add_address(p, "127.0.0.2");
    add_address(p, "127.0.0.1");
    open_connection(p);
    for (size_t i = 0; i < 16; i++) {
        close(fillers[i]);
    }
    close(listener);
}

static void
given_name_when_no_address_answers_then_refused_once_and_next_attempt_works(void **state)
{
    struct probe *p = *state;
    add_address(p, "127.0.0.2");
    add_address(p, "127.0.0.3");
    ask_connect(p);
    assert_non_null(strstr(expect_event(p, REFUSED)->text, "(2 addresses tried)"));
    p->names.answer.count = 0; /* no look-up is under way */
    add_address(p, "127.0.0.1");
    open_connection(p); /* a second `refused` would come before `opened` */
}

static void given_address_that_refuses_the_upgrade_when_connect_then_no_other_is_tried(void **state)
{
    struct probe *p = *state;
    add_address(p, "127.0.0.1");
    add_address(p, "127.0.0.1");
    ask_connect(p);
    frame_server_accept(&p->server);
    frame_server_send_line(&p->server, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(expect_event(p, REFUSED)->number, 403);
}

static void given_unknown_name_when_connect_then_refused_with_the_reason(void **state)
{
    struct probe *p = *state;
    p->names.answer.error = "Name or service not known";
    ask_connect(p);
    const struct event *event = expect_event(p, REFUSED);
    assert_int_equal(event->number, 0);
    assert_non_null(strstr(event->text, "backend.test"));
    assert_non_null(strstr(event->text, "Name or service not known"));
}

static void given_silent_name_server_when_connecting_then_the_loop_goes_on(void **state)
{
    struct probe *p = *state;
    add_address(p, "127.0.0.1");
    fall_silent(p);
    ask_connect(p);
    wait_until(p, &p->names.asked, 1);
    pthread_mutex_lock(&p->lock);
    p->time = true;
    pthread_mutex_unlock(&p->lock);
    marline__websocket_wake(p->ws);
    (void)expect_event(p, TIMER); /* woken, and the timer too */
    speak(p);
    frame_server_accept_open(&p->server);
    (void)expect_event(p, OPENED);
}

static void
given_silent_name_server_when_time_is_up_then_refused_and_asked_no_second_time(void **state)
{
    struct probe *p = *state;
    fall_silent(p);
    for (int i = 0; i < 2; i++) {
        ask_connect(p);
        assert_non_null(strstr(expect_event(p, REFUSED)->text, "name server"));
    }
    wait_until(p, &p->names.asked, 1);
    assert_int_equal(p->names.asked, 1);
}

static void given_look_up_under_way_when_destroyed_then_it_ends_alone(void **state)
{
    struct probe *p = *state;
    fall_silent(p);
    ask_connect(p);
    wait_until(p, &p->names.asked, 1);
    /* tear_down destroys the client, and would never return if that waited for the answer */
}

static void given_numeric_address_when_connect_then_nobody_is_asked(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    assert_int_equal(p->names.asked, 0);
}

/* ---- messages ---- */

static void given_open_when_text_in_pieces_then_one_message(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    /* "ab" without FIN, a ping in between, "cd" as the last continuation */
    frame_server_send_bytes(&p->server,
                            "\x01\x02"
                            "ab"
                            "\x89\x01"
                            "!"
                            "\x80\x02"
                            "cd",
                            11);
    const struct event *event = expect_event(p, TEXT);
    assert_string_equal(event->text, "abcd");
    struct buffer payload = BUFFER_INIT;
    assert_int_equal(frame_server_read_frame(&p->server, &payload), FRAME_PONG);
    assert_string_equal(payload.data, "!");
    marline__buffer_deinit(&payload);
}

static void given_open_when_empty_text_then_empty_message(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    frame_server_send_text(&p->server, "");
    assert_int_equal(expect_event(p, TEXT)->size, 0);
}

static void given_message_of_the_limit_when_received_then_whole(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    char *large = calloc(1, MESSAGE_MAX + 1);
    memset(large, 'x', MESSAGE_MAX);
    frame_server_send_text(&p->server, large);
    assert_int_equal(expect_event(p, TEXT)->size, MESSAGE_MAX);
    free(large);
}

static void given_message_over_the_limit_when_received_then_close_1009(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    char *large = calloc(1, MESSAGE_MAX + 2);
    memset(large, 'x', MESSAGE_MAX + 1);
    frame_server_send_text(&p->server, large);
    free(large);
    assert_int_equal(frame_server_read_close(&p->server), 1009);
    frame_server_drop(&p->server);
    const struct event *event = expect_event(p, CLOSED);
    assert_int_equal(event->number, 1009);
    assert_false(event->by_peer);
}

static void given_open_when_binary_then_close_1003(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    frame_server_send_frame(&p->server, FRAME_BINARY, "x", 1);
    assert_int_equal(frame_server_read_close(&p->server), 1003);
}

static void given_open_when_invalid_utf8_then_no_message_and_closed(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    frame_server_send_frame(&p->server, FRAME_TEXT, "\xff\xfe", 2);
    uint16_t code = frame_server_read_close(&p->server);
    assert_true(code == 1007 || code == 1006);
    frame_server_drop(&p->server);
    (void)expect_event(p, CLOSED);
}

static void given_open_when_written_then_arrives_masked_and_whole(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    char *large = calloc(1, 300001);
    memset(large, 'y', 300000);
    pthread_mutex_lock(&p->lock);
    p->write = large;
    pthread_mutex_unlock(&p->lock);
    marline__websocket_wake(p->ws);
    struct buffer text = BUFFER_INIT;
    assert_string_equal(frame_server_read_text(&p->server, &text), large);
    marline__buffer_deinit(&text);
    free(large);
}

static void given_silence_when_pinged_and_answered_then_alive(void **state)
{
    struct probe *p = *state;
    struct buffer payload = BUFFER_INIT;
    open_connection(p);
    assert_int_equal(frame_server_read_frame(&p->server, &payload), FRAME_PING);
    frame_server_send_frame(&p->server, FRAME_PONG, payload.data, payload.size);
    (void)expect_event(p, ALIVE);
    marline__buffer_deinit(&payload);
}

/* ---- ends ---- */

static void given_open_when_peer_closes_then_code_and_echo(void **state)
{
    struct probe *p = *state;
    static const uint16_t codes[] = {1000, 1001, 1002, 1003, 1008, 1009, 1011, 3000, 4999};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        open_connection(p);
        frame_server_send_close(&p->server, codes[i]);
        assert_int_equal(frame_server_read_close(&p->server), codes[i]);
        frame_server_drop(&p->server);
        const struct event *event = expect_event(p, CLOSED);
        assert_int_equal(event->number, codes[i]);
        assert_true(event->by_peer);
    }
}

static void given_open_when_close_has_invalid_code_then_1002(void **state)
{
    struct probe *p = *state;
    static const uint16_t codes[] = {999, 1005, 2999, 5000, 65535};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        open_connection(p);
        frame_server_send_close(&p->server, codes[i]);
        assert_int_equal(frame_server_read_close(&p->server), 1002);
        frame_server_drop(&p->server);
        assert_int_equal(expect_event(p, CLOSED)->number, 1002);
    }
}

static void given_open_when_one_byte_close_then_1002(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    frame_server_send_frame(&p->server, FRAME_CLOSE, "x", 1);
    assert_int_equal(frame_server_read_close(&p->server), 1002);
    frame_server_drop(&p->server);
    assert_int_equal(expect_event(p, CLOSED)->number, 1002);
}

static void given_open_when_close_without_code_then_1005(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    frame_server_send_frame(&p->server, FRAME_CLOSE, "", 0);
    frame_server_drop(&p->server);
    assert_int_equal(expect_event(p, CLOSED)->number, 1005);
}

static void given_open_when_connection_drops_then_1006(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    frame_server_drop(&p->server);
    const struct event *event = expect_event(p, CLOSED);
    assert_int_equal(event->number, 1006);
    assert_false(event->by_peer);
}

static void given_open_when_we_close_then_1000_with_reason_and_closed_once(void **state)
{
    struct probe *p = *state;
    open_connection(p);
    pthread_mutex_lock(&p->lock);
    p->close = true;
    pthread_mutex_unlock(&p->lock);
    marline__websocket_wake(p->ws);
    assert_int_equal(frame_server_read_close(&p->server), 1000);
    frame_server_send_close(&p->server, 1000);
    frame_server_drop(&p->server);
    const struct event *event = expect_event(p, CLOSED);
    assert_int_equal(event->number, 1000);
    assert_false(event->by_peer);
    open_connection(p); /* a second `closed` would come before `opened` */
}

#define PROBED(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define NAMED(test)  cmocka_unit_test_setup_teardown(test, set_up_named, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROBED(given_server_when_connect_then_headers_and_no_extension),
        PROBED(given_answer_other_than_101_when_connect_then_refused_with_its_status),
        PROBED(given_wrong_accept_key_when_connect_then_refused),
        PROBED(given_end_of_connection_in_handshake_when_connect_then_refused),
        cmocka_unit_test_setup_teardown(
            given_silent_server_when_connect_then_refused_in_time_and_next_attempt_works,
            set_up_in_a_hurry, tear_down),
        PROBED(given_nobody_listens_when_connect_then_refused_and_next_attempt_works),
        NAMED(given_name_when_first_address_refuses_then_second_is_taken_and_host_is_the_name),
        NAMED(given_name_when_first_address_is_silent_then_second_is_taken_soon),
        NAMED(given_name_when_no_address_answers_then_refused_once_and_next_attempt_works),
        NAMED(given_address_that_refuses_the_upgrade_when_connect_then_no_other_is_tried),
        NAMED(given_unknown_name_when_connect_then_refused_with_the_reason),
        NAMED(given_silent_name_server_when_connecting_then_the_loop_goes_on),
        cmocka_unit_test_setup_teardown(
            given_silent_name_server_when_time_is_up_then_refused_and_asked_no_second_time,
            set_up_named_in_a_hurry, tear_down),
        NAMED(given_look_up_under_way_when_destroyed_then_it_ends_alone),
        PROBED(given_numeric_address_when_connect_then_nobody_is_asked),
        PROBED(given_open_when_text_in_pieces_then_one_message),
        PROBED(given_open_when_empty_text_then_empty_message),
        PROBED(given_message_of_the_limit_when_received_then_whole),
        PROBED(given_message_over_the_limit_when_received_then_close_1009),
        PROBED(given_open_when_binary_then_close_1003),
        PROBED(given_open_when_invalid_utf8_then_no_message_and_closed),
        PROBED(given_open_when_written_then_arrives_masked_and_whole),
        cmocka_unit_test_setup_teardown(given_silence_when_pinged_and_answered_then_alive,
                                        set_up_soon_pinging, tear_down),
        PROBED(given_open_when_peer_closes_then_code_and_echo),
        PROBED(given_open_when_close_has_invalid_code_then_1002),
        PROBED(given_open_when_one_byte_close_then_1002),
        PROBED(given_open_when_close_without_code_then_1005),
        PROBED(given_open_when_connection_drops_then_1006),
        PROBED(given_open_when_we_close_then_1000_with_reason_and_closed_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
