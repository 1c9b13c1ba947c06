/* The key of a link as a value. */
#include "core/link_key.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* UUIDv5 of "marline.test-result" in the DNS namespace; written out, for it must never change. */
static const struct uuid result_namespace = {{0x69, 0xe4, 0x40, 0x7c, 0x10, 0xdd, 0x52, 0x5f, 0x8c,
                                              0x24, 0x38, 0xe6, 0x0a, 0x9b, 0x38, 0x33}};

bool link_key_parse(const struct uuid *organization, struct slice run, struct slice test,
                    struct slice configuration, uint32_t attempt, struct link_key *out)
{
    struct link_key key = {.organization = *organization, .attempt = attempt};
    if (!marline__uuid_parse(run, &key.run) || !marline__uuid_parse(test, &key.test) ||
        !marline__uuid_parse(configuration, &key.configuration)) {
        return false;
    }
    *out = key;
    return true;
}

static int compare_uuid(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes);
}

int link_key_compare(const struct link_key *a, const struct link_key *b)
{
    int order = compare_uuid(&a->organization, &b->organization);
    order = order ? order : compare_uuid(&a->run, &b->run);
    order = order ? order : compare_uuid(&a->test, &b->test);
    order = order ? order : compare_uuid(&a->configuration, &b->configuration);
    return order ? order : (a->attempt > b->attempt) - (a->attempt < b->attempt);
}

bool link_key_equal(const struct link_key *a, const struct link_key *b)
{
    return link_key_compare(a, b) == 0;
}

/* FNV-1a: the ids are random already, it only has to fold them. */
static uint64_t fold(uint64_t hash, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

uint64_t link_key_hash(const struct link_key *key)
{
    uint64_t hash = 0xcbf29ce484222325u ^ key->attempt;
    hash = fold(hash, key->organization.bytes, sizeof key->organization.bytes);
    hash = fold(hash, key->run.bytes, sizeof key->run.bytes);
    hash = fold(hash, key->test.bytes, sizeof key->test.bytes);
    return fold(hash, key->configuration.bytes, sizeof key->configuration.bytes);
}

struct uuid link_key_result_id(const struct link_key *key)
{
    assert(key->attempt >= 1);
    char organization[UUID_TEXT_SIZE];
    char run[UUID_TEXT_SIZE];
    char test[UUID_TEXT_SIZE];
    char configuration[UUID_TEXT_SIZE];
    marline__uuid_format(&key->organization, organization);
    marline__uuid_format(&key->run, run);
    marline__uuid_format(&key->test, test);
    marline__uuid_format(&key->configuration, configuration);
    char name[4 * UUID_TEXT_SIZE + 16];
    int size = snprintf(name, sizeof name, "%s|%s|%s|%s|%" PRIu32, organization, run, test,
                        configuration, key->attempt);
    return marline__uuid_derived(&result_namespace, (struct slice){name, (size_t)size});
}

static int compare_for_sort(const void *a, const void *b)
{
    return link_key_compare(a, b);
}

size_t link_keys_unique(struct link_key *keys, size_t count)
{
    if (count < 2) {
        return count;
    }
    qsort(keys, count, sizeof keys[0], compare_for_sort);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++) {
        if (!link_key_equal(&keys[i], &keys[kept - 1])) {
            keys[kept++] = keys[i];
        }
    }
    return kept;
}
