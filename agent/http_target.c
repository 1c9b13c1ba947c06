/* What an http endpoint asks of which service. */
#include "agent/http_target.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "programs/must.h"

static void deinit_pairs(struct http_pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        marline__memory_free(p->items[i].name);
        marline__memory_free(p->items[i].value);
    }
    marline__memory_free(p->items);
}

void http_target_deinit(struct http_target *t)
{
    marline__memory_free(t->method);
    marline__memory_free(t->url);
    deinit_pairs(&t->headers);
    marline__memory_free(t->body);
    deinit_pairs(&t->response);
    marline__memory_free(t->ca_file);
    marline__memory_free(t->certificate_file);
    marline__memory_free(t->key_file);
    *t = (struct http_target){0};
}

void http_pairs_add(struct http_pairs *p, const char *name, const char *value)
{
    p->items = must_grow(p->items, p->count, &p->capacity, sizeof *p->items);
    p->items[p->count++] = (struct http_pair){must_text(name), must_text(value)};
}

static bool check_file(const char *path, const char *where, const char *name, struct failure *f)
{
    return !path || access(path, R_OK) == 0 ||
           failure_set(f, EXIT_CODE_CONFIGURATION, "%s: endpoint '%s': %s: %s", where, name, path,
                       strerror(errno));
}

bool http_target_check(const struct http_target *t, const char *where, const char *name,
                       struct failure *f)
{
    if (strncasecmp(t->url, "http://", 7) != 0 && strncasecmp(t->url, "https://", 8) != 0) {
        return failure_set(
            f, EXIT_CODE_CONFIGURATION,
            "%s: endpoint '%s': url '%s' does not start with http:// or https://; add it", where,
            name, t->url);
    }
    if (t->method && strspn(t->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(t->method)) {
        return failure_set(
            f, EXIT_CODE_CONFIGURATION,
            "%s: endpoint '%s': method '%s' is not written in capital letters; write GET, "
            "POST and so on",
            where, name, t->method);
    }
    for (size_t i = 0; i < t->headers.count; i++) {
        if (strpbrk(t->headers.items[i].name, " :\r\n") ||
            strpbrk(t->headers.items[i].value, "\r\n")) {
            return failure_set(f, EXIT_CODE_CONFIGURATION, "%s: endpoint '%s': '%s' is no header",
                               where, name, t->headers.items[i].name);
        }
    }
    return check_file(t->ca_file, where, name, f) &&
           check_file(t->certificate_file, where, name, f) &&
           check_file(t->key_file, where, name, f);
}
