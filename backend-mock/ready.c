/* See ready.h. */
#include "ready.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "core/alloc.h"
#include "hub/auth.h"
#include "wire/json_writer.h"

static const char organization_text[] = "22222222-2222-4222-8222-222222222222";
static const char project_text[] = "11111111-1111-4111-8111-111111111111";
static const char user_text[] = "33333333-3333-4333-8333-333333333333";

enum { KEY_RANDOM_CHARACTERS = 43, PATH_SIZE = 4096 }; /* wire-protocol §1.3 */

static void make_key(char out[READY_KEY_SIZE])
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    const struct random_source *random = marline__random_system();
    size_t n = 0;
    out[n++] = 'r';
    out[n++] = 'h';
    out[n++] = '-';
    for (int i = 0; i < KEY_RANDOM_CHARACTERS; i++) {
        out[n++] = alphabet[marline__random_below(random, sizeof(alphabet) - 1)];
    }
    out[n] = '\0';
}

/* ---- the key file ---- */

/* False when the store has no file. */
static bool key_path(const char *store, char out[PATH_SIZE])
{
    static const char prefix[] = "sqlite:";
    if (strncmp(store, prefix, sizeof(prefix) - 1) != 0 || strcmp(store, "sqlite::memory:") == 0) {
        return false;
    }
    return snprintf(out, PATH_SIZE, "%s.key", store + sizeof(prefix) - 1) < PATH_SIZE;
}

/* 1 = read, 0 = there is none, -1 = an error. */
static int read_key_file(const char *path, char out[READY_KEY_SIZE])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : -1;
    }
    ssize_t n = read(fd, out, READY_KEY_SIZE - 1);
    (void)close(fd);
    if (n < 0) {
        return -1;
    }
    out[n] = '\0';
    out[strcspn(out, " \t\r\n")] = '\0';
    return out[0] != '\0';
}

static bool write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return true;
}

/* Under another name first; mode 0600, since both files hold the key. */
static bool write_private_file(const char *path, const char *data, size_t size)
{
    char temporary[PATH_SIZE];
    if (snprintf(temporary, sizeof(temporary), "%s.new", path) >= (int)sizeof(temporary)) {
        errno = ENAMETOOLONG;
        return false;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    bool ok = write_whole(fd, data, size);
    ok = close(fd) == 0 && ok;
    ok = ok && rename(temporary, path) == 0;
    if (!ok) {
        int reason = errno;
        (void)unlink(temporary);
        errno = reason;
    }
    return ok;
}

static bool complain_about_file(const char *path, const char *verb, struct failure *f)
{
    return failure_set(f, EXIT_CODE_READY_FILE, "cannot %s %s: %s", verb, path,
                       strerrordesc_np(errno));
}

static bool choose_key(const char *store, const char *api_key, char out[READY_KEY_SIZE],
                       struct failure *f)
{
    char path[PATH_SIZE];
    if (api_key) {
        return snprintf(out, READY_KEY_SIZE, "%s", api_key) < READY_KEY_SIZE ||
               failure_set(f, EXIT_CODE_USAGE, "the key is longer than %d characters",
                           READY_KEY_SIZE - 1);
    }
    bool has_file = key_path(store, path);
    int found = has_file ? read_key_file(path, out) : 0;
    if (found != 0) {
        return found > 0 || complain_about_file(path, "read", f);
    }
    make_key(out);
    if (has_file) {
        char line[READY_KEY_SIZE + 1];
        int n = snprintf(line, sizeof(line), "%s\n", out);
        if (!write_private_file(path, line, (size_t)n)) {
            return complain_about_file(path, "write", f);
        }
    }
    return true;
}

/* ---- the store ---- */

static bool write_one(struct store *store, struct store_write *write, struct failure *f)
{
    write->at_unix_ns = marline__clock_wall_ns(marline__clock_system());
    if (store_write_one(store, write) == STORE_OK) {
        return true;
    }
    return failure_set(f, EXIT_CODE_STORE, "%s", write->outcome.text);
}

static bool create_entities(struct store *store, const char *key, struct failure *f)
{
    struct store_write project = {.type = STORE_CREATE_PROJECT};
    struct store_write token = {.type = STORE_CREATE_TOKEN};
    struct uuid organization;
    (void)marline__uuid_parse(marline__slice_text(organization_text), &organization);
    project.create_project.organization_id = organization;
    project.create_project.name = SLICE("Marline");
    (void)marline__uuid_parse(marline__slice_text(project_text),
                              &project.create_project.project_id);
    token.create_token.organization_id = organization;
    token.create_token.project_id = project.create_project.project_id;
    token.create_token.name = SLICE("ready-made");
    (void)marline__uuid_parse(marline__slice_text(user_text), &token.create_token.user_id);
    auth_hash_key(marline__slice_text(key), token.create_token.key_sha256);
    return write_one(store, &project, f) && write_one(store, &token, f);
}

bool ready_prepare(struct store *store, const char *location, const char *api_key,
                   struct ready *out, struct failure *f)
{
    (void)snprintf(out->organization_id, sizeof(out->organization_id), "%s", organization_text);
    (void)snprintf(out->project_id, sizeof(out->project_id), "%s", project_text);
    return choose_key(location, api_key, out->api_key, f) &&
           create_entities(store, out->api_key, f);
}

/* ---- telling ---- */

/* A location without the password that it may hold. */
static void redact(const char *store, char *out, size_t size)
{
    const char *user = strstr(store, "://");
    const char *at = user ? strrchr(user, '@') : NULL;
    const char *colon = at ? memchr(user + 3, ':', (size_t)(at - user - 3)) : NULL;
    if (colon) {
        (void)snprintf(out, size, "%.*s:***%s", (int)(colon - store), store, at);
    } else {
        (void)snprintf(out, size, "%s", store);
    }
}

void ready_print(const struct ready *ready, const char *store)
{
    char shown[512];
    redact(store, shown, sizeof(shown));
    (void)printf("Marline backend-mock is ready\n\n"
                 "  base URL     %s\n"
                 "  organization %s\n"
                 "  project      %s\n"
                 "  key          %s\n"
                 "  store        %s\n\n"
                 "For an agent or an SDK:\n\n"
                 "  export RHESIS_BASE_URL=%s\n"
                 "  export RHESIS_PROJECT_ID=%s\n"
                 "  export RHESIS_API_KEY=%s\n\n",
                 ready->base_url, ready->organization_id, ready->project_id, ready->api_key, shown,
                 ready->base_url, ready->project_id, ready->api_key);
    (void)fflush(stdout);
}

bool ready_write_file(const struct ready *ready, const char *path, struct failure *f)
{
    struct buffer text = BUFFER_INIT;
    struct json_writer w;
    marline__json_writer_init(&w, &text);
    marline__json_begin_object(&w);
    marline__json_member_text(&w, "base_url", ready->base_url);
    marline__json_member_text(&w, "organization_id", ready->organization_id);
    marline__json_member_text(&w, "project_id", ready->project_id);
    marline__json_member_text(&w, "api_key", ready->api_key);
    marline__json_end_object(&w);
    marline__buffer_append_byte(&text, '\n');
    alloc_check_buffer(&text);
    bool ok = write_private_file(path, text.data, text.size);
    marline__buffer_deinit(&text);
    return ok || complain_about_file(path, "write", f);
}
