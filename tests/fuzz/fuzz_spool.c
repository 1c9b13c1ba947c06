/* A spool whose file was changed: each three bytes of the input are a place and what is flipped
 * there. Whatever is read is whole; then the spool works again. */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trace/spool.h"

enum { BATCHES = 12, BODY_SIZE = 700, FILE_MAX = 64 * 1024 };

static char folder[64];
static char path[96];
static char content[FILE_MAX];
static size_t content_size;

static void make_body(char body[BODY_SIZE], uint32_t n)
{
    memset(body, 'a' + (int)(n % 26), BODY_SIZE);
}

static struct spool *open_spool(void)
{
    const struct spool_options options = {path, 0};
    struct spool *spool = NULL;
    FUZZ_CHECK(marline__spool_open(&options, &spool, NULL) == MARLINE_OK);
    return spool;
}

static void put(struct spool *spool, uint32_t n)
{
    char body[BODY_SIZE];
    make_body(body, n);
    FUZZ_CHECK(marline__spool_put(spool, (struct slice){body, sizeof body}, n + 1));
}

static void remove_files(void)
{
    static const char *const suffixes[] = {"", "-wal", ".lock", ".damaged", ".damaged-wal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        char name[128];
        (void)snprintf(name, sizeof name, "%s%s", path, suffixes[i]);
        (void)unlink(name);
    }
    (void)rmdir(folder);
}

static void make_once(void)
{
    if (content_size > 0) {
        return;
    }
    (void)snprintf(folder, sizeof folder, "%s/marline-fuzz-XXXXXX",
                   access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    FUZZ_CHECK(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/spool.db", folder);
    FUZZ_CHECK(atexit(remove_files) == 0);
    struct spool *spool = open_spool();
    for (uint32_t n = 0; n < BATCHES; n++) {
        put(spool, n);
    }
    marline__spool_close(spool);
    FILE *file = fopen(path, "rb");
    FUZZ_CHECK(file);
    content_size = fread(content, 1, sizeof content, file);
    FUZZ_CHECK(content_size > BATCHES * BODY_SIZE && content_size < sizeof content);
    (void)fclose(file);
}

static void write_damaged(const uint8_t *data, size_t size)
{
    static char damaged[FILE_MAX];
    memcpy(damaged, content, content_size);
    for (size_t i = 0; i + 3 <= size; i += 3) {
        damaged[(data[i] << 8 | data[i + 1]) % content_size] ^= (char)data[i + 2];
    }
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file);
    FUZZ_CHECK(fwrite(damaged, 1, content_size, file) == content_size);
    FUZZ_CHECK(fclose(file) == 0);
}

static unsigned take_all(struct spool *spool)
{
    struct spool_batch batch = {.body = BUFFER_INIT};
    unsigned taken = 0;
    while (marline__spool_oldest(spool, &batch)) {
        char body[BODY_SIZE];
        make_body(body, batch.spans - 1);
        FUZZ_CHECK(batch.body.size == BODY_SIZE);
        FUZZ_CHECK(memcmp(batch.body.data, body, BODY_SIZE) == 0);
        marline__spool_remove(spool, &batch);
        FUZZ_CHECK(++taken <= BATCHES);
    }
    marline__buffer_deinit(&batch.body);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    make_once();
    write_damaged(data, size);
    struct spool *spool = open_spool();
    (void)take_all(spool);
    put(spool, 3);
    FUZZ_CHECK(take_all(spool) == 1);
    marline__spool_close(spool);
    return 0;
}
