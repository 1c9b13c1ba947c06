/* What was seen and sent, and claims about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/alloc.h"
#include "hub/journal.h"

static const struct uuid us = {{1}};
static const struct uuid them = {{2}};

struct fixture {
    struct journal *journal;
    struct journal_entry entries[JOURNAL_ENTRIES_MAX];
};

static int set_up(void **state)
{
    struct fixture *f = alloc_zeroed(sizeof(*f));
    f->journal = journal_create();
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    journal_destroy(f->journal);
    marline__memory_free(f);
    return 0;
}

static bool holds(struct fixture *f, const struct journal_claim *claim)
{
    size_t count = journal_read(f->journal, &us, f->entries);
    return journal_check(claim, f->entries, count).holds;
}

static struct journal_claim number_of(const char *name, uint32_t at_least, uint32_t at_most)
{
    struct journal_claim claim = {.pattern_count = 1, .at_least = at_least, .at_most = at_most};
    claim.patterns[0].target = FAULT_RECEIVED;
    (void)snprintf(claim.patterns[0].name, sizeof(claim.patterns[0].name), "%s", name);
    return claim;
}

static void given_messages_when_counted_then_only_ones_own_of_that_kind(void **state)
{
    struct fixture *f = *state;
    struct journal_claim once = number_of("pong", 1, 1);
    struct journal_claim never = number_of("register", 0, 0);
    assert_false(holds(f, &once));
    journal_note(f->journal, &us, FAULT_RECEIVED, SLICE("pong"), 0);
    journal_note(f->journal, &them, FAULT_RECEIVED, SLICE("pong"), 0);
    journal_note(f->journal, &us, FAULT_SENT, SLICE("pong"), 0);
    journal_note(f->journal, &them, FAULT_RECEIVED, SLICE("register"), 0);
    assert_true(holds(f, &once));
    assert_true(holds(f, &never));
    journal_note(f->journal, &us, FAULT_RECEIVED, SLICE("pong"), 0);
    journal_note(f->journal, &us, FAULT_RECEIVED, SLICE("register"), 0);
    assert_false(holds(f, &once));
    assert_false(holds(f, &never));
}

static void given_order_when_claimed_then_others_may_stand_between(void **state)
{
    struct fixture *f = *state;
    struct journal_claim claim = {.is_order = true, .pattern_count = 2};
    claim.patterns[0] = (struct journal_pattern){FAULT_HTTP, "/a"};
    claim.patterns[1] = (struct journal_pattern){FAULT_SENT, "b"};
    journal_note(f->journal, &us, FAULT_SENT, SLICE("b"), 0);
    journal_note(f->journal, &us, FAULT_HTTP, SLICE("/a"), 200);
    assert_false(holds(f, &claim));
    journal_note(f->journal, &us, FAULT_HTTP, SLICE("/c"), 200);
    journal_note(f->journal, &us, FAULT_SENT, SLICE("b"), 0);
    assert_true(holds(f, &claim));
}

static void given_more_than_fits_then_the_oldest_are_gone(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < JOURNAL_ENTRIES_MAX + 3; i++) {
        journal_note(f->journal, &us, FAULT_HTTP, SLICE("/a"), 404);
    }
    assert_int_equal(journal_read(f->journal, &us, f->entries), JOURNAL_ENTRIES_MAX);
    assert_int_equal(f->entries[0].number, 4);
    assert_int_equal(f->entries[JOURNAL_ENTRIES_MAX - 1].number, JOURNAL_ENTRIES_MAX + 3);
    assert_int_equal(f->entries[0].status, 404);
}

static void given_cleared_then_others_keep_theirs(void **state)
{
    struct fixture *f = *state;
    journal_note(f->journal, &us, FAULT_HTTP, SLICE("/a"), 200);
    journal_note(f->journal, &them, FAULT_HTTP, SLICE("/a"), 200);
    journal_clear(f->journal, &us);
    assert_int_equal(journal_read(f->journal, &us, f->entries), 0);
    assert_int_equal(journal_read(f->journal, &them, f->entries), 1);
}

#define WITH_JOURNAL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_JOURNAL(given_messages_when_counted_then_only_ones_own_of_that_kind),
        WITH_JOURNAL(given_order_when_claimed_then_others_may_stand_between),
        WITH_JOURNAL(given_more_than_fits_then_the_oldest_are_gone),
        WITH_JOURNAL(given_cleared_then_others_keep_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
