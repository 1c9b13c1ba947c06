/* See faults.h. */
#include "hub/faults.h"

#include <pthread.h>
#include <string.h>

#include "core/alloc.h"
#include "store/commit_gates.h"

struct faults {
    pthread_mutex_t lock;
    struct fault_rule rules[FAULT_RULES_MAX];
    size_t count;
};

struct faults *faults_create(void)
{
    struct faults *f = alloc_zeroed(sizeof(*f));
    (void)pthread_mutex_init(&f->lock, NULL);
    return f;
}

void faults_destroy(struct faults *f)
{
    if (f) {
        (void)pthread_mutex_destroy(&f->lock);
        marline__memory_free(f);
    }
}

bool faults_add(struct faults *f, const struct fault_rule *rule)
{
    (void)pthread_mutex_lock(&f->lock);
    bool fits = f->count < FAULT_RULES_MAX;
    if (fits) {
        f->rules[f->count++] = *rule;
    }
    (void)pthread_mutex_unlock(&f->lock);
    return fits;
}

void faults_clear(struct faults *f, const struct uuid *organization_id)
{
    size_t kept = 0;
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count; i++) {
        if (!marline__uuid_equal(&f->rules[i].organization_id, organization_id)) {
            f->rules[kept++] = f->rules[i];
        }
    }
    f->count = kept;
    (void)pthread_mutex_unlock(&f->lock);
}

bool faults_any(struct faults *f)
{
    (void)pthread_mutex_lock(&f->lock);
    bool any = f->count > 0;
    (void)pthread_mutex_unlock(&f->lock);
    return any;
}

/* Counts a match in; true when this one is to be hit. */
static bool hit(struct fault_rule *rule)
{
    rule->seen++;
    if (rule->seen < rule->from || (rule->times && rule->hits >= rule->times)) {
        return false;
    }
    rule->hits++;
    return true;
}

struct fault_rule faults_match(struct faults *f, const struct uuid *organization_id,
                               enum fault_target target, struct slice name)
{
    struct fault_rule found = {.action = FAULT_NONE};
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count && found.action == FAULT_NONE; i++) {
        struct fault_rule *rule = &f->rules[i];
        if (rule->target == target && marline__slice_is(name, rule->match) &&
            marline__uuid_equal(&rule->organization_id, organization_id) && hit(rule)) {
            found = *rule;
        }
    }
    (void)pthread_mutex_unlock(&f->lock);
    return found;
}

bool faults_refuse_write(void *user, struct store_write *write)
{
    struct faults *f = user;
    struct uuid organization;
    enum commit_step step;
    if (!faults_any(f) || !commit_step_of(write, &organization, &step)) {
        return false;
    }
    struct slice name = marline__slice_text(commit_step_name(step));
    struct fault_rule rule = faults_match(f, &organization, FAULT_STORE, name);
    if (rule.action != FAULT_FAIL) {
        return false;
    }
    write->outcome = (struct store_error){STORE_BUSY, "the store fails, as /mock/faults asked for"};
    return true;
}

size_t faults_list(struct faults *f, const struct uuid *organization_id, struct fault_rule *out,
                   size_t max)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < f->count && count < max; i++) {
        if (marline__uuid_equal(&f->rules[i].organization_id, organization_id)) {
            out[count++] = f->rules[i];
        }
    }
    (void)pthread_mutex_unlock(&f->lock);
    return count;
}

/* ---- words ---- */

static const char *const target_names[] = {"http", "sent", "received", "store"};
static const char *const action_names[] = {"none",  "status",   "after",     "delay", "cut",
                                           "close", "withhold", "duplicate", "fail"};

const char *fault_target_name(enum fault_target target)
{
    return target_names[target];
}

const char *fault_action_name(enum fault_action action)
{
    return action_names[action];
}

bool fault_target_parse(const char *word, enum fault_target *out)
{
    for (size_t i = 0; i < sizeof(target_names) / sizeof(target_names[0]); i++) {
        if (strcmp(word, target_names[i]) == 0) {
            *out = (enum fault_target)i;
            return true;
        }
    }
    return false;
}

bool fault_action_parse(const char *word, enum fault_action *out)
{
    for (size_t i = FAULT_NONE + 1; i < sizeof(action_names) / sizeof(action_names[0]); i++) {
        if (strcmp(word, action_names[i]) == 0) {
            *out = (enum fault_action)i;
            return true;
        }
    }
    return false;
}
