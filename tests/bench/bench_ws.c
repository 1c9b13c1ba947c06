/* See bench_ws.h. */
#include "bench_ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "bench_http.h"

enum { PIECE = 65536, HEAD_MAX = 4, SIZE_IN_TWO_BYTES = 126, TEXT_FRAME = 0x81 };

static void give_up(const char *what)
{
    (void)fprintf(stderr, "marline-bench: the agent's connection: %s\n", what);
    exit(1);
}

static void receive_some(struct bench_ws *ws)
{
    if (!marline__buffer_reserve(&ws->in, PIECE)) {
        abort();
    }
    ssize_t n = recv(ws->socket, ws->in.data + ws->in.size, PIECE, 0);
    if (n <= 0) {
        give_up("ended");
    }
    ws->in.size += (size_t)n;
}

/* Takes one whole text frame, as short as a backend sends them here. False: not there yet. */
static bool take_frame(struct bench_ws *ws)
{
    const uint8_t *b = (const uint8_t *)ws->in.data;
    if (ws->in.size < HEAD_MAX) {
        return false;
    }
    if (b[0] != TEXT_FRAME || b[1] > SIZE_IN_TWO_BYTES) {
        give_up("a frame of another kind");
    }
    size_t head = b[1] == SIZE_IN_TWO_BYTES ? HEAD_MAX : 2;
    size_t size = b[1] == SIZE_IN_TWO_BYTES ? (size_t)b[2] << 8 | b[3] : b[1];
    if (ws->in.size < head + size) {
        return false;
    }
    marline__buffer_clear(&ws->text);
    marline__buffer_append(&ws->text, ws->in.data + head, size);
    marline__buffer_consume(&ws->in, head + size);
    return true;
}

const char *bench_ws_expect(struct bench_ws *ws, const char *mark)
{
    for (;;) {
        while (!take_frame(ws)) {
            receive_some(ws);
        }
        if (strstr(ws->text.data, mark)) {
            return ws->text.data;
        }
    }
}

/* A mask of zeros masks nothing, and is allowed. */
void bench_ws_send(struct bench_ws *ws, const char *text)
{
    struct buffer frame = BUFFER_INIT;
    size_t size = strlen(text);
    marline__buffer_append_byte(&frame, (char)TEXT_FRAME);
    if (size < SIZE_IN_TWO_BYTES) {
        marline__buffer_append_byte(&frame, (char)(0x80 | size));
    } else {
        marline__buffer_append_byte(&frame, (char)(0x80 | SIZE_IN_TWO_BYTES));
        marline__buffer_append_byte(&frame, (char)(size >> 8));
        marline__buffer_append_byte(&frame, (char)size);
    }
    marline__buffer_append(&frame, "\0\0\0\0", 4);
    marline__buffer_append(&frame, text, size);
    if (send(ws->socket, frame.data, frame.size, MSG_NOSIGNAL) != (ssize_t)frame.size) {
        give_up("takes no more");
    }
    marline__buffer_deinit(&frame);
}

static void upgrade(struct bench_ws *ws, const char *key)
{
    char request[512];
    int n = snprintf(request, sizeof request,
                     "GET /connector/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\nAuthorization: Bearer %s\r\n\r\n",
                     key);
    if (send(ws->socket, request, (size_t)n, MSG_NOSIGNAL) != n) {
        give_up("takes no more");
    }
    char *end = NULL;
    while (!end) {
        receive_some(ws);
        end = memmem(ws->in.data, ws->in.size, "\r\n\r\n", 4);
    }
    bench_check(memcmp(ws->in.data, "HTTP/1.1 101", 12) == 0, "the upgrade");
    marline__buffer_consume(&ws->in, (size_t)(end - ws->in.data) + 4);
}

void bench_ws_open(struct bench_ws *ws, uint16_t port, const char *key, const char *project,
                   const char *environment)
{
    char text[512];
    *ws = (struct bench_ws){.socket = bench_connect(port), .in = BUFFER_INIT, .text = BUFFER_INIT};
    upgrade(ws, key);
    (void)bench_ws_expect(ws, "\"connected\"");
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"register\",\"project_id\":\"%s\",\"environment\":\"%s\","
                   "\"sdk_version\":\"1\",\"functions\":[{\"name\":\"noop\",\"parameters\":{},"
                   "\"return_type\":\"dict\",\"metadata\":{}}],\"metrics\":[]}",
                   project, environment);
    bench_ws_send(ws, text);
    (void)bench_ws_expect(ws, "\"registered\"");
    bench_check(strstr(ws->text.data, "\"success\"") != NULL, "the agent is registered");
}

void bench_ws_close(struct bench_ws *ws)
{
    (void)close(ws->socket);
    marline__buffer_deinit(&ws->in);
    marline__buffer_deinit(&ws->text);
}

void bench_ws_answer(struct bench_ws *ws, const char *execute)
{
    char text[512];
    static const char mark[] = "\"test_run_id\":\"";
    const char *id = strstr(execute, mark);
    if (!id) {
        give_up("an execute_test without id");
    }
    id += sizeof mark - 1;
    (void)snprintf(text, sizeof text,
                   "{\"type\":\"test_result\",\"test_run_id\":\"%.*s\",\"status\":\"success\","
                   "\"output\":{\"output\":\"\"},\"error\":null,\"duration_ms\":0.1,"
                   "\"trace_id\":null}",
                   (int)strcspn(id, "\""), id);
    bench_ws_send(ws, text);
}
