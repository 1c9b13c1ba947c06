/* A file of batches, one behind the other; see spool_log.h. */
#include "trace/spool_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/memory.h"

enum {
    MARK_SIZE = 16,
    HEAD_SIZE = 8,
    FIRST_BATCH = MARK_SIZE + HEAD_SIZE,
    BATCH_HEAD_SIZE = 16,
    HOLE_MIN = 1024 * 1024,
    NAMES_MAX = 8, /* tries; more than one only where a process of the same number left a file */
};

static const char mark[MARK_SIZE] = "marline child 1";
static const char infix[] = ".child-";

/* ---- numbers ---- */

static void write_number(unsigned char *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        out[i] = (unsigned char)(value >> 8 * i);
    }
}

static uint64_t read_number(const unsigned char *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)in[i] << 8 * i;
    }
    return value;
}

/* Of the numbers too: a flipped bit there would be as bad. */
static uint32_t checksum_of(uint32_t spans, struct slice body)
{
    unsigned char numbers[12];
    write_number(numbers, spans, 4);
    write_number(numbers + 4, body.size, 8);
    uLong sum = crc32(0, numbers, sizeof numbers);
    return (uint32_t)crc32_z(sum, (const unsigned char *)body.data, body.size);
}

static bool write_at(int fd, const void *data, size_t size, uint64_t at)
{
    return pwrite(fd, data, size, (off_t)at) == (ssize_t)size;
}

static bool write_head(const struct spool_log *l)
{
    unsigned char head[HEAD_SIZE];
    write_number(head, l->head, HEAD_SIZE);
    return write_at(l->fd, head, sizeof head, MARK_SIZE);
}

/* ---- opening ---- */

void marline__spool_log_forget(struct spool_log *l)
{
    if (l->fd >= 0) {
        close(l->fd);
    }
    marline__memory_free(l->path);
    *l = SPOOL_LOG_CLOSED;
}

void marline__spool_log_close(struct spool_log *l)
{
    if (l->fd >= 0 && l->head == l->end) {
        (void)unlink(l->path);
    }
    marline__spool_log_forget(l);
}

/* Whoever takes up files of others may have taken this one, empty as it is, before it was locked.
 */
static bool lock(int fd)
{
    struct stat info;
    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &info) == 0 && info.st_nlink > 0;
}

static bool start_file(struct spool_log *l)
{
    l->fd = open(l->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    l->head = l->end = FIRST_BATCH;
    if (l->fd < 0 || !lock(l->fd)) {
        return false;
    }
    if (write_at(l->fd, mark, MARK_SIZE, 0) && write_head(l)) {
        return true;
    }
    (void)unlink(l->path);
    return false;
}

bool marline__spool_log_create(struct spool_log *l, const char *spool_path)
{
    bool made = false;
    for (unsigned i = 0; i < NAMES_MAX && !made; i++) {
        struct buffer name = BUFFER_INIT;
        marline__buffer_append_format(&name, i ? "%s%s%ld-%u" : "%s%s%ld", spool_path, infix,
                                      (long)getpid(), i);
        l->path = marline__buffer_take(&name);
        made = l->path && start_file(l);
        if (!made) {
            int cause = errno;
            marline__spool_log_forget(l);
            errno = cause;
        }
    }
    return made;
}

bool marline__spool_log_open(struct spool_log *l, const char *path)
{
    unsigned char start[FIRST_BATCH];
    struct stat info;
    l->path = marline__memory_text(path);
    l->fd = l->path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (l->fd < 0 || !lock(l->fd) || fstat(l->fd, &info) != 0) {
        marline__spool_log_forget(l);
        return false;
    }
    l->head = l->end = (uint64_t)info.st_size;
    if (pread(l->fd, start, sizeof start, 0) == (ssize_t)sizeof start &&
        memcmp(start, mark, MARK_SIZE) == 0) {
        uint64_t head = read_number(start + MARK_SIZE, HEAD_SIZE);
        l->head = head >= FIRST_BATCH && head <= l->end ? head : FIRST_BATCH;
        return true;
    }
    if (info.st_size < FIRST_BATCH) { /* its process ended before it wrote anything */
        return true;
    }
    marline__spool_log_forget(l);
    return false;
}

/* ---- batches ---- */

bool marline__spool_log_put(struct spool_log *l, struct slice body, uint32_t spans)
{
    unsigned char head[BATCH_HEAD_SIZE];
    write_number(head, spans, 4);
    write_number(head + 4, checksum_of(spans, body), 4);
    write_number(head + 8, body.size, 8);
    if (write_at(l->fd, head, sizeof head, l->end) &&
        write_at(l->fd, body.data, body.size, l->end + sizeof head)) {
        l->end += sizeof head + body.size;
        return true;
    }
    int cause = errno;
    (void)!ftruncate(l->fd, (off_t)l->end);
    errno = cause;
    return false;
}

enum spool_log_read marline__spool_log_oldest(struct spool_log *l, struct buffer *body,
                                              uint32_t *out_spans)
{
    unsigned char head[BATCH_HEAD_SIZE];
    uint64_t left = l->end - l->head;
    if (left == 0) {
        return SPOOL_LOG_END;
    }
    if (left < sizeof head ||
        pread(l->fd, head, sizeof head, (off_t)l->head) != (ssize_t)sizeof head) {
        return SPOOL_LOG_DAMAGED;
    }
    uint64_t size = read_number(head + 8, 8);
    if (size > left - sizeof head) {
        return SPOOL_LOG_DAMAGED;
    }
    marline__buffer_clear(body);
    if (!marline__buffer_reserve(body, size)) {
        return SPOOL_LOG_NO_MEMORY;
    }
    if (pread(l->fd, body->data, size, (off_t)(l->head + sizeof head)) != (ssize_t)size) {
        return SPOOL_LOG_DAMAGED;
    }
    body->size = size;
    *out_spans = (uint32_t)read_number(head, 4);
    return *out_spans > 0 &&
                   read_number(head + 4, 4) == checksum_of(*out_spans, marline__buffer_slice(body))
               ? SPOOL_LOG_BATCH
               : SPOOL_LOG_DAMAGED;
}

/* The disk must know the head before: whoever began to read in the hole would find damage. */
static void give_back(struct spool_log *l)
{
    if (l->head - l->given_back >= HOLE_MIN && fdatasync(l->fd) == 0) {
        (void)!fallocate(l->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FIRST_BATCH,
                         (off_t)(l->head - FIRST_BATCH));
        l->given_back = l->head;
    }
}

/* What cannot be written here only costs a repeat, after a crash. */
void marline__spool_log_remove(struct spool_log *l, uint64_t size)
{
    l->head += BATCH_HEAD_SIZE + size;
    if (l->head == l->end && ftruncate(l->fd, FIRST_BATCH) == 0) {
        l->head = l->end = FIRST_BATCH;
        l->given_back = 0;
    }
    if (write_head(l)) {
        give_back(l);
    }
}

void marline__spool_log_set_aside(struct spool_log *l)
{
    struct buffer aside = BUFFER_INIT;
    marline__buffer_append_format(&aside, "%s.damaged", l->path);
    if (!aside.failed) {
        (void)rename(l->path, aside.data);
    }
    marline__buffer_deinit(&aside);
    marline__spool_log_forget(l);
}

/* ---- finding ---- */

static bool is_childs(const char *name, const char *spool_name)
{
    size_t size = strlen(spool_name);
    return strncmp(name, spool_name, size) == 0 &&
           strncmp(name + size, infix, sizeof infix - 1) == 0 &&
           strspn(name + size + sizeof infix - 1, "0123456789-") ==
               strlen(name + size + sizeof infix - 1);
}

void marline__spool_log_each(const char *spool_path, void (*found)(const char *path, void *user),
                             void *user)
{
    const char *slash = strrchr(spool_path, '/');
    const char *name = slash ? slash + 1 : spool_path;
    struct buffer path = BUFFER_INIT;
    marline__buffer_append_format(&path, "%.*s", (int)(name - spool_path), spool_path);
    marline__buffer_append_text(&path, slash ? "" : "./");
    size_t folder_size = path.size;
    DIR *folder = path.failed ? NULL : opendir(path.data);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        if (is_childs(entry->d_name, name)) {
            path.size = folder_size;
            marline__buffer_append_text(&path, entry->d_name);
            if (!path.failed) {
                found(path.data, user);
            }
        }
    }
    if (folder) {
        (void)closedir(folder);
    }
    marline__buffer_deinit(&path);
}
