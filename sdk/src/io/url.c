/* Takes a URL apart from left to right; see url.h. */
#include "io/url.h"

#include <strings.h>

static const struct {
    const char *prefix;
    bool secure;
} schemes[] = {{"http://", false}, {"https://", true}, {"ws://", false}, {"wss://", true}};

static bool take_scheme(struct slice *rest, struct url *out)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t n = strlen(schemes[i].prefix);
        if (rest->size >= n && strncasecmp(rest->data, schemes[i].prefix, n) == 0) {
            out->secure = schemes[i].secure;
            *rest = (struct slice){rest->data + n, rest->size - n};
            return true;
        }
    }
    return false;
}

static bool is_plain(struct slice s)
{
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (c <= ' ' || c >= 0x7f || c == '@' || c == '?' || c == '#' || c == '\\') {
            return false;
        }
    }
    return true;
}

static bool parse_port(struct slice digits, uint16_t *out)
{
    uint32_t value = 0;
    if (digits.size == 0 || digits.size > 5) {
        return false;
    }
    for (size_t i = 0; i < digits.size; i++) {
        if (digits.data[i] < '0' || digits.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(digits.data[i] - '0');
    }
    *out = (uint16_t)value;
    return value > 0 && value <= UINT16_MAX;
}

/* authority = host [":" port] | "[" IPv6 "]" [":" port] */
static const char *parse_authority(struct slice authority, struct url *out)
{
    const char *end = authority.data + authority.size;
    const char *host = authority.data;
    const char *host_end;
    const char *colon;
    out->is_ipv6 = authority.size > 0 && host[0] == '[';
    if (out->is_ipv6) {
        host++;
        host_end = memchr(host, ']', (size_t)(end - host));
        if (!host_end || (host_end + 1 < end && host_end[1] != ':')) {
            return "the IPv6 address is not closed with ]";
        }
        colon = host_end + 1 < end ? host_end + 1 : NULL;
    } else {
        colon = memchr(host, ':', authority.size);
        host_end = colon ? colon : end;
    }
    if (host_end == host || (size_t)(host_end - host) >= sizeof out->host) {
        return "the host is missing or too long";
    }
    memcpy(out->host, host, (size_t)(host_end - host));
    out->host[host_end - host] = '\0';
    out->port = out->secure ? 443 : 80;
    if (colon && !parse_port((struct slice){colon + 1, (size_t)(end - colon - 1)}, &out->port)) {
        return "the port is not a number from 1 to 65535";
    }
    return NULL;
}

bool marline__url_parse(struct slice text, struct url *out, const char **out_reason)
{
    struct slice rest = text;
    memset(out, 0, sizeof *out);
    *out_reason = "it does not start with http://, https://, ws:// or wss://";
    if (!take_scheme(&rest, out)) {
        return false;
    }
    *out_reason = "it holds a character that does not belong there";
    if (!is_plain(rest)) {
        return false;
    }
    const char *slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
    size_t authority_size = slash ? (size_t)(slash - rest.data) : rest.size;
    *out_reason = authority_size ? parse_authority((struct slice){rest.data, authority_size}, out)
                                 : "the host is missing or too long";
    if (*out_reason) {
        return false;
    }
    size_t path_size = rest.size - authority_size;
    while (path_size > 0 && slash[path_size - 1] == '/') {
        path_size--;
    }
    if (path_size >= sizeof out->path) {
        *out_reason = "the path is too long";
        return false;
    }
    if (path_size > 0) {
        memcpy(out->path, slash, path_size);
    }
    return true;
}
