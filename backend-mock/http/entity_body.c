/* See entity_body.h. */
#include "http/entity_body.h"

#include <stdio.h>

#include "base/utf8.h"
#include "core/alloc.h"
#include "core/stored_criteria.h"

/* ---- what the kinds are made of ---- */

enum member_type { MEMBER_TEXT, MEMBER_UUID, MEMBER_OBJECT, MEMBER_NUMBER, MEMBER_BOOL };
/* Where it is kept. */
enum member_place {
    PLACE_BODY_MEMBER,
    PLACE_NAME,
    PLACE_PROJECT,
    PLACE_ENDPOINT,
    PLACE_TEST_SET,
};

struct member {
    const char *name;
    enum member_type type;
    bool required;
    enum member_place place;
    const char *choices; /* as Python shows them; NULL = any */
};

#define TURNS       "'Single-Turn' or 'Multi-Turn'"
#define CONNECTIONS "'REST', 'WebSocket', 'GRPC' or 'SDK'"
#define IN_BODY     PLACE_BODY_MEMBER

static const struct member endpoint_members[] = {
    {"name", MEMBER_TEXT, true, PLACE_NAME, NULL},
    {"project_id", MEMBER_UUID, false, PLACE_PROJECT, NULL},
    {"connection_type", MEMBER_TEXT, true, IN_BODY, CONNECTIONS},
    {"description", MEMBER_TEXT, false, IN_BODY, NULL},
    {"url", MEMBER_TEXT, false, IN_BODY, NULL},
    {"method", MEMBER_TEXT, false, IN_BODY, NULL},
    {"endpoint_path", MEMBER_TEXT, false, IN_BODY, NULL},
    {"request_headers", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"query_params", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"request_mapping", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"response_mapping", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"endpoint_metadata", MEMBER_OBJECT, false, IN_BODY, NULL},
};
/* `behavior` is what older SDKs call the requirement. */
static const struct member test_members[] = {
    {"name", MEMBER_TEXT, false, PLACE_NAME, NULL},
    {"project_id", MEMBER_UUID, false, PLACE_PROJECT, NULL},
    {"prompt", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"test_configuration", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"requirement", MEMBER_TEXT, false, IN_BODY, NULL},
    {"behavior", MEMBER_TEXT, false, IN_BODY, NULL},
    {"category", MEMBER_TEXT, true, IN_BODY, NULL},
    {"topic", MEMBER_TEXT, false, IN_BODY, NULL},
    {"test_type", MEMBER_TEXT, false, IN_BODY, TURNS},
    {"priority", MEMBER_NUMBER, false, IN_BODY, NULL},
    {"metadata", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"test_metadata", MEMBER_OBJECT, false, IN_BODY, NULL},
};
static const struct member test_set_members[] = {
    {"name", MEMBER_TEXT, true, PLACE_NAME, NULL},
    {"project_id", MEMBER_UUID, false, PLACE_PROJECT, NULL},
    {"description", MEMBER_TEXT, false, IN_BODY, NULL},
    {"short_description", MEMBER_TEXT, false, IN_BODY, NULL},
    {"test_set_type", MEMBER_TEXT, false, IN_BODY, TURNS},
    {"metadata", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"attributes", MEMBER_OBJECT, false, IN_BODY, NULL},
    {"is_published", MEMBER_BOOL, false, IN_BODY, NULL},
};
static const struct member configuration_members[] = {
    {"name", MEMBER_TEXT, false, PLACE_NAME, NULL},
    {"project_id", MEMBER_UUID, false, PLACE_PROJECT, NULL},
    {"endpoint_id", MEMBER_UUID, true, PLACE_ENDPOINT, NULL},
    {"test_set_id", MEMBER_UUID, false, PLACE_TEST_SET, NULL},
    {"category_id", MEMBER_UUID, false, IN_BODY, NULL},
    {"topic_id", MEMBER_UUID, false, IN_BODY, NULL},
    {"prompt_id", MEMBER_UUID, false, IN_BODY, NULL},
    {"attributes", MEMBER_OBJECT, false, IN_BODY, NULL},
};

enum { MEMBERS_MAX = 16 };

#define KIND(members)                                                                              \
    {                                                                                              \
        members, sizeof(members) / sizeof((members)[0])                                            \
    }
static const struct {
    const struct member *members;
    size_t count;
} kinds[ENTITY_DOCUMENT_COUNT] = {
    [ENTITY_ENDPOINT] = KIND(endpoint_members),
    [ENTITY_TEST] = KIND(test_members),
    [ENTITY_TEST_SET] = KIND(test_set_members),
    [ENTITY_TEST_CONFIGURATION] = KIND(configuration_members),
};

/* ---- checking ---- */

struct reading {
    struct body_faults *faults;
    const char *where;
    const struct store_entity_row *before;
    struct entity_draft *out;
};

enum { PLACE_SIZE = 160 };

static void fault(const struct reading *rd, const char *name, const char *type, const char *msg,
                  const char *ctx)
{
    char place[PLACE_SIZE];
    (void)snprintf(place, sizeof(place), "%s%s%s", rd->where, rd->where[0] ? "." : "", name);
    body_faults_add(rd->faults, type, place, msg, ctx);
}

static bool is_absent(const struct json_member *m)
{
    return m->type == JSON_ERROR || m->type == JSON_NULL;
}

/* Is there an escaped NUL in any text of the value? Neither database keeps it. */
static bool holds_nul(struct slice raw)
{
    for (size_t i = 0; i + 1 < raw.size; i++) {
        if (raw.data[i] == '\\') {
            i++;
            if (raw.data[i] == 'u' && raw.size - i > 4 && memcmp(raw.data + i, "u0000", 5) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void decode(const struct json_member *m, struct buffer *out)
{
    marline__json_unescape((struct slice){m->raw.data + 1, m->raw.size - 2}, out);
    alloc_check_buffer(out);
}

/* Is the decoded text one of "'A', 'B' or 'C'"? */
static bool is_choice(struct slice text, const char *choices)
{
    for (const char *at = choices; (at = strchr(at, '\'')); at++) {
        size_t size = strcspn(at + 1, "'");
        if (marline__slice_equal(text, (struct slice){at + 1, size})) {
            return true;
        }
        at += size + 1;
    }
    return false;
}

static bool check_text(const struct reading *rd, const struct member *spec,
                       const struct json_member *m)
{
    if (m->type != JSON_STRING) {
        fault(rd, spec->name, "string_type", "Input should be a valid string", NULL);
        return false;
    }
    struct buffer text = BUFFER_INIT;
    decode(m, &text);
    bool ok = true;
    if (spec->choices && !is_choice(marline__buffer_slice(&text), spec->choices)) {
        char msg[96];
        char ctx[96];
        (void)snprintf(msg, sizeof(msg), "Input should be %s", spec->choices);
        (void)snprintf(ctx, sizeof(ctx), "{\"expected\":\"%s\"}", spec->choices);
        fault(rd, spec->name, "enum", msg, ctx);
        ok = false;
    } else if (spec->place == PLACE_NAME &&
               marline__utf8_length(marline__buffer_slice(&text)) > ENTITY_TEXT_MAX) {
        fault(rd, spec->name, "string_too_long", "String should have at most 255 characters",
              "{\"max_length\":\"255\"}");
        ok = false;
    }
    marline__buffer_deinit(&text);
    return ok;
}

static bool check_uuid(const struct reading *rd, const struct member *spec,
                       const struct json_member *m, struct uuid *out)
{
    if (m->type != JSON_STRING) {
        fault(rd, spec->name, "uuid_type", "UUID input should be a string, bytes or UUID object",
              NULL);
        return false;
    }
    if (!marline__uuid_parse((struct slice){m->raw.data + 1, m->raw.size - 2}, out) ||
        marline__uuid_is_nil(out)) { /* which stands for none everywhere else */
        fault(rd, spec->name, "uuid_parsing", "Input should be a valid UUID", NULL);
        return false;
    }
    return true;
}

static bool check_type(const struct reading *rd, const struct member *spec,
                       const struct json_member *m, struct uuid *out_uuid)
{
    static const struct {
        enum json_type type;
        const char *fault;
        const char *msg;
    } plain[] = {
        [MEMBER_OBJECT] = {JSON_OBJECT, "dict_type", "Input should be a valid dictionary"},
        [MEMBER_NUMBER] = {JSON_NUMBER, "float_type", "Input should be a valid number"},
        [MEMBER_BOOL] = {JSON_BOOL, "bool_type", "Input should be a valid boolean"},
    };
    if (spec->type == MEMBER_TEXT) {
        return check_text(rd, spec, m);
    }
    if (spec->type == MEMBER_UUID) {
        return check_uuid(rd, spec, m, out_uuid);
    }
    if (m->type != plain[spec->type].type) {
        fault(rd, spec->name, plain[spec->type].fault, plain[spec->type].msg, NULL);
        return false;
    }
    return true;
}

/* ---- taking over ---- */

static void put_body_member(struct reading *rd, const char *name, struct slice raw)
{
    struct buffer *body = &rd->out->body;
    marline__buffer_append_format(body, "%s\"%s\":", body->size > 1 ? "," : "", name);
    marline__buffer_append_slice(body, raw);
}

static void place_value(struct reading *rd, const struct member *spec, const struct json_member *m,
                        const struct uuid *uuid)
{
    struct store_entity *e = &rd->out->entity;
    bool none = m->type == JSON_NULL;
    switch (spec->place) {
    case PLACE_NAME:
        marline__buffer_clear(&rd->out->name);
        if (!none) {
            decode(m, &rd->out->name);
        }
        break;
    case PLACE_PROJECT:
        rd->out->has_project = true;
        e->project_id = *uuid;
        break;
    case PLACE_ENDPOINT:
        e->endpoint_id = *uuid;
        break;
    case PLACE_TEST_SET:
        e->test_set_id = *uuid;
        break;
    default:
        if (!none) {
            put_body_member(rd, spec->name, m->raw);
        }
        break;
    }
}

static struct slice stored_member(const struct reading *rd, const char *name)
{
    struct json_member m = {.type = JSON_ERROR};
    if (rd->before) {
        marline__json_find_members(rd->before->body, &name, 1, &m);
    }
    return m.raw;
}

static void take_member(struct reading *rd, const struct member *spec, const struct json_member *m)
{
    struct uuid uuid = {{0}};
    if (m->type == JSON_ERROR) {
        struct slice stored =
            spec->place == PLACE_BODY_MEMBER ? stored_member(rd, spec->name) : SLICE_EMPTY;
        if (stored.size) {
            put_body_member(rd, spec->name, stored);
        } else if (spec->required && !rd->before) {
            fault(rd, spec->name, "missing", "Field required", NULL);
        }
        return;
    }
    if (m->type == JSON_NULL && !spec->required) {
        place_value(rd, spec, m, &uuid);
    } else if (check_type(rd, spec, m, &uuid)) {
        if (holds_nul(m->raw)) {
            fault(rd, spec->name, "value_error", "Value error, a text may not hold NUL", NULL);
        } else {
            place_value(rd, spec, m, &uuid);
        }
    }
}

/* A member of a member, which must be a text if it is there. */
static void check_inner_text(const struct reading *rd, struct slice object, const char *outer,
                             const char *inner, bool required)
{
    struct json_member m;
    char name[64];
    (void)snprintf(name, sizeof(name), "%s.%s", outer, inner);
    marline__json_find_members(object, &inner, 1, &m);
    if (is_absent(&m)) {
        if (required) {
            fault(rd, name, "missing", "Field required", NULL);
        }
    } else if (m.type != JSON_STRING) {
        fault(rd, name, "string_type", "Input should be a valid string", NULL);
    }
}

/* What a test expects: misspelt, it would pass whatever comes. */
static void check_criteria(const struct reading *rd)
{
    char error[CRITERIA_ERROR_SIZE];
    char msg[CRITERIA_ERROR_SIZE + sizeof("Value error, ")];
    const char *at = stored_criteria_fault(marline__buffer_slice(&rd->out->body), error);
    if (at) {
        (void)snprintf(msg, sizeof(msg), "Value error, %s", error);
        fault(rd, at, "value_error", msg, NULL);
    }
}

/* Neither member is kept, and neither was refused for its own sake. */
static bool lacks_both(const struct reading *rd, struct slice object, const char *one,
                       const char *other)
{
    const char *const names[] = {one, other};
    struct json_member kept[2];
    struct json_member sent[2];
    marline__json_find_members(marline__buffer_slice(&rd->out->body), names, 2, kept);
    marline__json_find_members(object, names, 2, sent);
    return is_absent(&kept[0]) && is_absent(&kept[1]) && is_absent(&sent[0]) && is_absent(&sent[1]);
}

/* A test asks something: in one turn by its prompt, in several by the goal of its configuration.
 * And it belongs to a requirement. */
static void check_test(const struct reading *rd, struct slice object)
{
    static const char *const names[] = {"prompt", "test_configuration"};
    struct json_member m[2];
    marline__json_find_members(marline__buffer_slice(&rd->out->body), names, 2, m);
    if (m[0].type == JSON_OBJECT) {
        check_inner_text(rd, m[0].raw, "prompt", "content", true);
        check_inner_text(rd, m[0].raw, "prompt", "expected_response", false);
    }
    if (m[1].type == JSON_OBJECT) {
        check_inner_text(rd, m[1].raw, "test_configuration", "goal", true);
    }
    check_criteria(rd);
    if (lacks_both(rd, object, "prompt", "test_configuration")) {
        fault(rd, "prompt", "missing", "Field required", NULL);
    }
    if (lacks_both(rd, object, "requirement", "behavior")) {
        fault(rd, "requirement", "missing", "Field required", NULL);
    }
}

static void begin_draft(const struct reading *rd, enum entity_kind kind)
{
    const struct store_entity_row *before = rd->before;
    struct entity_draft *out = rd->out;
    *out =
        (struct entity_draft){.entity = {.kind = kind}, .body = BUFFER_INIT, .name = BUFFER_INIT};
    marline__buffer_append_byte(&out->body, '{');
    if (before) {
        out->entity.id = before->id;
        out->entity.project_id = before->project_id;
        out->entity.endpoint_id = before->endpoint_id;
        out->entity.test_set_id = before->test_set_id;
        out->entity.status = before->status;
        out->entity.environment = before->environment;
        marline__buffer_append_slice(&out->name, before->name);
    } else {
        out->entity.id = marline__uuid_random(marline__random_system());
    }
}

void entity_body_read(enum entity_kind kind, struct slice object, const char *where,
                      const struct store_entity_row *before, struct body_faults *faults,
                      struct entity_draft *out)
{
    struct reading rd = {.faults = faults, .where = where, .before = before, .out = out};
    const char *names[MEMBERS_MAX];
    struct json_member found[MEMBERS_MAX];
    size_t count = kinds[kind].count;
    begin_draft(&rd, kind);
    for (size_t i = 0; i < count; i++) {
        names[i] = kinds[kind].members[i].name;
    }
    marline__json_find_members(object, names, count, found);
    for (size_t i = 0; i < count; i++) {
        take_member(&rd, &kinds[kind].members[i], &found[i]);
    }
    marline__buffer_append_byte(&out->body, '}');
    alloc_check_buffer(&out->body);
    alloc_check_buffer(&out->name);
    if (kind == ENTITY_TEST) {
        check_test(&rd, object);
    }
    if (out->body.size > ENTITY_BODY_MAX) {
        body_faults_add(faults, "value_error", where, "Value error, it is larger than 262144 bytes",
                        NULL);
    }
    out->entity.body = marline__buffer_slice(&out->body);
    out->entity.name = out->name.size ? marline__buffer_slice(&out->name) : SLICE("");
}

void entity_draft_deinit(struct entity_draft *draft)
{
    marline__buffer_deinit(&draft->body);
    marline__buffer_deinit(&draft->name);
}
