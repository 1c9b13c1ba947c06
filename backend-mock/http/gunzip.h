/* Decompression of a request body, bounded: it stops at the limit, not after it. Pure. */
#ifndef HTTP_GUNZIP_H
#define HTTP_GUNZIP_H

#include "base/buffer.h"
#include "base/slice.h"

enum gunzip_result {
    GUNZIP_OK,
    GUNZIP_CORRUPT,   /* no gzip, damaged, cut, or followed by other bytes */
    GUNZIP_TOO_LARGE, /* more than `max` bytes would come out */
};

/* Appends to `out`, which is left as it happens to be unless the result is OK. Several members one
 * after the other are one text (RFC 1952). */
enum gunzip_result gunzip(struct slice in, size_t max, struct buffer *out);

#endif
