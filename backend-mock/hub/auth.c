/* See auth.h. */
#include "hub/auth.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"

enum { KEY_SIZE_MAX = 512 }; /* real ones have 46 characters, JWTs some hundred */

void auth_hash_key(struct slice key, uint8_t out_sha256[32])
{
    if (EVP_Digest(key.data, key.size, out_sha256, NULL, EVP_sha256(), NULL) != 1) {
        abort(); /* only out of memory */
    }
}

/* NULL data when the header is no bearer header. */
static struct slice bearer_key(struct slice authorization, enum auth_scheme scheme)
{
    static const char prefix[] = "Bearer ";
    size_t n = sizeof(prefix) - 1;
    if (authorization.size <= n || authorization.size > n + KEY_SIZE_MAX) {
        return SLICE_EMPTY;
    }
    bool match = scheme == AUTH_SCHEME_EXACT ? memcmp(authorization.data, prefix, n) == 0
                                             : strncasecmp(authorization.data, prefix, n) == 0;
    return match ? (struct slice){authorization.data + n, authorization.size - n} : SLICE_EMPTY;
}

enum auth_result auth_check(struct store *store, struct slice authorization,
                            enum auth_scheme scheme, struct auth_identity *out)
{
    *out = (struct auth_identity){0};
    struct slice key = bearer_key(authorization, scheme);
    if (!key.data) {
        return AUTH_DENIED;
    }
    auth_hash_key(key, out->key_sha256);
    struct store_token token;
    struct store_error error;
    switch (store_find_token(store, out->key_sha256, &token, &error)) {
    case STORE_OK:
        out->organization_id = token.organization_id;
        out->user_id = token.user_id;
        out->project_id = token.project_id;
        return AUTH_OK;
    case STORE_NOT_FOUND:
        return AUTH_DENIED;
    default:
        marline__log(LOG_ERROR, "cannot look up a key: %s", error.text);
        return AUTH_UNAVAILABLE;
    }
}
