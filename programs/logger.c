/* The program's log. */
#include "programs/logger.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <marline/status.h>
#include <marline/trace.h>

#include "base/clock.h"
#include "base/time_text.h"
#include "programs/must.h"
#include "wire/json_writer.h"

enum { RECORD_TEXT_MAX = 2048 };

/* Set before any other thread runs, read only afterwards. */
static struct {
    enum log_level level;
    enum log_format format;
} logger = {LOG_INFO, LOG_FORMAT_TEXT};

static void write_whole(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDERR_FILENO, data, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* nobody reads the log: there is nowhere left to say so */
        }
        data += n;
        size -= (size_t)n;
    }
}

static void add_trace_ids(struct json_writer *w)
{
    marline_span span = marline_span_current(NULL);
    char trace_id[MARLINE_TRACE_ID_TEXT_SIZE];
    char span_id[MARLINE_SPAN_ID_TEXT_SIZE];
    marline_span_trace_id_text(&span, trace_id);
    marline_span_id_text(&span, span_id);
    if (strspn(trace_id, "0") != strlen(trace_id)) {
        marline__json_member_text(w, "trace_id", trace_id);
        marline__json_member_text(w, "span_id", span_id);
    }
}

static void format_json(const char *time, enum log_level level, const char *text,
                        struct buffer *out)
{
    struct json_writer w;
    marline__json_writer_init(&w, out);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "time", time);
    marline__json_member_text(&w, "level", marline__log_level_name(level));
    marline__json_member_text(&w, "text", text);
    add_trace_ids(&w);
    marline__json_end_object(&w);
}

static void write_record(enum log_level level, const char *text)
{
    char time[TIME_TEXT_SIZE];
    marline__time_format(marline__clock_wall_ns(marline__clock_system()), time);
    struct buffer line = BUFFER_INIT;
    if (logger.format == LOG_FORMAT_JSON) {
        format_json(time, level, text, &line);
    } else {
        marline__buffer_append_format(&line, "%s %-5s %s", time, marline__log_level_name(level),
                                      text);
    }
    marline__buffer_append_byte(&line, '\n');
    must_buffer(&line);
    write_whole(line.data, line.size);
    marline__buffer_deinit(&line);
}

static void take_library_record(void *user, marline_log_level level, const char *text)
{
    (void)user;
    if ((int)level <= (int)logger.level) {
        write_record((enum log_level)level, text);
    }
}

static void take_layer_record(void *user, enum log_level level, const char *text)
{
    (void)user;
    if (level <= logger.level) {
        write_record(level, text);
    }
}

void logger_start(enum log_level level, enum log_format format)
{
    logger.level = level;
    logger.format = format;
    /* The shared library and the layers linked into this program each have a log of their own. */
    marline_log_set(take_library_record, NULL);
    marline__log_install(take_layer_record, NULL);
}

bool logger_parse_level(const char *text, enum log_level *out)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void logger_write(enum log_level level, const char *format, ...)
{
    if (level > logger.level) {
        return;
    }
    char text[RECORD_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_record(level, length < 0 ? format : text);
}
