/* See entity.h: lists. */
#include <stdio.h>

#include "core/alloc.h"
#include "http/entity.h"
#include "http/routes.h"
#include "wire/json_reader.h"

enum { LIMIT_DEFAULT = 100, LIMIT_MAX = 1000, SKIP_MAX = 1000000000 };

struct list_request {
    struct http_request *request;
    enum entity_kind kind;
    const struct uuid *organization_id;
    struct store_entity_query query;
    struct odata_filter filter;
    struct slice select; /* names separated by commas; NULL data = all */
    struct buffer row;   /* scratch */
    struct buffer body;
    struct json_writer w;
};

/* ---- the query ---- */

/* False when it has answered. */
static bool read_filter(struct list_request *q)
{
    struct slice text = http_request_query(q->request, "$filter");
    size_t count = 0;
    const struct filter_field *fields = store_entity_fields(q->kind, &count);
    if (!text.data) {
        return true;
    }
    if (!odata_filter_parse(text, fields, count, &q->filter)) {
        http_answer_detail(q->request, 400, "Invalid OData filter: %s", q->filter.error);
        return false;
    }
    q->query.filter = &q->filter;
    return true;
}

static bool read_sort(struct list_request *q)
{
    struct slice by = http_request_query(q->request, "sort_by");
    struct slice order = http_request_query(q->request, "sort_order");
    size_t count = 0;
    const struct filter_field *fields = store_entity_fields(q->kind, &count);
    if (order.data && !marline__slice_is(order, "asc") && !marline__slice_is(order, "desc")) {
        http_answer_detail(q->request, 400, "Invalid sort_order: it is asc or desc");
        return false;
    }
    q->query.descending = order.data ? order.size == 4 : marline__uuid_is_nil(&q->query.set_id);
    for (size_t i = 0; by.data && i < count; i++) {
        if (marline__slice_is(by, fields[i].name)) {
            q->query.sort = &fields[i];
        }
    }
    if (by.data && !q->query.sort) {
        http_answer_detail(q->request, 400, "Invalid sort_by: there is no field %.*s",
                           (int)(by.size < 60 ? by.size : 60), by.data);
        return false;
    }
    return true;
}

/* ---- the answer ---- */

static bool is_selected(struct slice select, struct slice key)
{
    while (select.size) {
        const char *comma = memchr(select.data, ',', select.size);
        size_t size = comma ? (size_t)(comma - select.data) : select.size;
        struct slice name = {select.data, size};
        size_t step = comma ? size + 1 : size;
        select = (struct slice){select.data + step, select.size - step};
        while (name.size && name.data[0] == ' ') {
            name = (struct slice){name.data + 1, name.size - 1};
        }
        if (marline__slice_equal(name, key)) {
            return true;
        }
    }
    return false;
}

/* The members of `object` that are asked for. */
static void write_selected(struct list_request *q, struct slice object)
{
    struct json_reader r;
    struct slice key;
    struct slice value;
    marline__json_begin_object(&q->w);
    marline__json_reader_init(&r, object, JSON_TRUSTED);
    (void)marline__json_enter_object(&r);
    while (marline__json_next_member(&r, &key) && marline__json_skip(&r, &value)) {
        if (is_selected(q->select, key)) {
            marline__json_key_raw(&q->w, key);
            marline__json_raw(&q->w, value);
        }
    }
    marline__json_end_object(&q->w);
}

static void add_row(void *user, const struct store_entity_row *row)
{
    struct list_request *q = user;
    struct json_writer w;
    if (!q->select.data) {
        entity_write(&q->w, q->kind, q->organization_id, row);
        return;
    }
    marline__buffer_clear(&q->row);
    marline__json_writer_init(&w, &q->row);
    entity_write(&w, q->kind, q->organization_id, row);
    alloc_check_buffer(&q->row);
    write_selected(q, marline__buffer_slice(&q->row));
}

static void answer_page(struct list_request *q, const struct store_scope *scope)
{
    struct store_error error;
    uint64_t total = 0;
    marline__json_writer_init(&q->w, &q->body);
    marline__json_begin_array(&q->w);
    if (store_list_entities(http_request_server(q->request)->store, scope, &q->query, &total,
                            add_row, q, &error) != STORE_OK) {
        marline__buffer_deinit(&q->body);
        routes_answer_store_error(q->request, &error, NULL);
        return;
    }
    marline__json_end_array(&q->w);
    routes_answer_total(q->request, total);
    http_answer_json(q->request, 200, &q->body);
}

void entity_answer_list(struct http_request *r, enum entity_kind kind, const struct uuid *set_id)
{
    struct list_request *q = alloc_zeroed(sizeof(*q));
    struct store_scope scope;
    q->request = r;
    q->kind = kind;
    q->organization_id = &http_request_identity(r)->organization_id;
    q->query.kind = kind;
    q->query.limit = LIMIT_DEFAULT;
    q->query.set_id = set_id ? *set_id : (struct uuid){{0}};
    q->select = http_request_query(r, "$select");
    if (routes_read_scope(r, &scope) && read_filter(q) && read_sort(q) &&
        routes_query_unsigned(r, "skip", 0, SKIP_MAX, &q->query.skip) &&
        routes_query_unsigned(r, "limit", 1, LIMIT_MAX, &q->query.limit)) {
        answer_page(q, &scope);
    }
    marline__buffer_deinit(&q->row);
    marline__memory_free(q);
}
