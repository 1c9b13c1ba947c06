/* See gunzip.h. */
#define ZLIB_CONST
#include "http/gunzip.h"

#include <stdlib.h>
#include <zlib.h>

#include "core/alloc.h"

enum { GZIP_ONLY = 16 + MAX_WBITS, PIECE = 256 * 1024 };

/* One member: from next_in to its end. */
static enum gunzip_result inflate_member(z_stream *z, size_t max, struct buffer *out)
{
    for (;;) {
        size_t room = max + 1 - out->size; /* one byte too many shows that it is too large */
        room = room < PIECE ? room : PIECE;
        if (!marline__buffer_reserve(out, room)) {
            abort();
        }
        z->next_out = (Bytef *)out->data + out->size;
        z->avail_out = (uInt)room;
        int rc = inflate(z, Z_NO_FLUSH);
        out->size += room - z->avail_out;
        if (out->size > max) {
            return GUNZIP_TOO_LARGE;
        }
        if (rc == Z_STREAM_END) {
            return GUNZIP_OK;
        }
        if (rc != Z_OK) { /* Z_BUF_ERROR: the input is cut */
            return GUNZIP_CORRUPT;
        }
    }
}

enum gunzip_result gunzip(struct slice in, size_t max, struct buffer *out)
{
    z_stream z = {.next_in = (const Bytef *)in.data, .avail_in = (uInt)in.size};
    if (in.size > UINT32_MAX || inflateInit2(&z, GZIP_ONLY) != Z_OK) {
        return GUNZIP_TOO_LARGE;
    }
    enum gunzip_result result = in.size ? GUNZIP_OK : GUNZIP_CORRUPT;
    while (result == GUNZIP_OK && z.avail_in > 0) {
        result = inflate_member(&z, max, out);
        if (result == GUNZIP_OK && z.avail_in > 0) {
            (void)inflateReset(&z);
        }
    }
    (void)inflateEnd(&z);
    return result;
}
