/* Bearer keys. The store holds SHA-256 hashes only. Any thread. */
#ifndef HUB_AUTH_H
#define HUB_AUTH_H

#include <stdbool.h>

#include "base/slice.h"
#include "base/uuid.h"
#include "store/store.h"

struct auth_identity {
    struct uuid organization_id;
    struct uuid user_id;
    struct uuid project_id; /* nil = the key is not bound to a project */
    uint8_t key_sha256[32]; /* tells keys apart */
};

enum auth_result {
    AUTH_OK,
    AUTH_DENIED,      /* no key, or an unknown one */
    AUTH_UNAVAILABLE, /* the store cannot say; try again later */
};

/* The scheme's case matters at the WebSocket upgrade and nowhere else (wire-protocol §1.2). */
enum auth_scheme { AUTH_SCHEME_EXACT, AUTH_SCHEME_ANY_CASE };

/* `authorization` is the header's value, NULL data when there is none. */
enum auth_result auth_check(struct store *store, struct slice authorization,
                            enum auth_scheme scheme, struct auth_identity *out);

void auth_hash_key(struct slice key, uint8_t out_sha256[32]);

#endif
