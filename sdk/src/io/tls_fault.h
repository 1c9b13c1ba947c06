/* What a failure of TLS means and what mends it, read from the words of libcurl and OpenSSL: their
 * codes tell neither a CA of the right name but another key, nor a missing client certificate, from
 * a lost connection. Pure; any thread. */
#ifndef MARLINE_IO_TLS_FAULT_H
#define MARLINE_IO_TLS_FAULT_H

#include <stdbool.h>

struct tls_fault {
    const char *advice; /* what is wrong, and the fix: follows "HOST: " */
    bool is_for_good;   /* a retry with the same files is pointless */
};

/* NULL: the text is of no known fault. */
const struct tls_fault *marline__tls_fault_of(const char *text);

#endif
