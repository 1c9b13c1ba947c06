/* Routes, calls in flight, and whose result is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "core/router.h"

#define PROJECT      SLICE("11111111-1111-4111-8111-111111111111")
#define DEV          SLICE("development")
#define ORGANIZATION SLICE("22222222-2222-4222-8222-222222222222")
#define KEY          SLICE("key-1")

enum { OLD = 1, NEW = 2, OTHER = 3 };

static int the_user;

static int make_router(void **state)
{
    *state = router_create();
    return 0;
}

static int drop_router(void **state)
{
    router_destroy(*state);
    return 0;
}

static void connect_agent(struct router *r, uint64_t session, struct slice key,
                          struct slice agent_id)
{
    router_session_opened(r, session, ORGANIZATION, key);
    if (agent_id.size) {
        router_session_identified(r, session, agent_id);
    }
    router_register(r, session, PROJECT, DEV);
}

static void call(struct router *r, const char *id, uint64_t session, uint64_t deadline_ns)
{
    const struct router_call begun = {.id = marline__slice_text(id),
                                      .session = session,
                                      .is_test = true,
                                      .project = PROJECT,
                                      .environment = DEV,
                                      .deadline_ns = deadline_ns,
                                      .user = &the_user};
    router_call_begin(r, &begun);
}

static enum router_verdict complete(struct router *r, const char *id, uint64_t session)
{
    void *user = NULL;
    enum router_verdict verdict = router_complete(r, marline__slice_text(id), session, &user);
    assert_ptr_equal(user, verdict == ROUTER_ACCEPTED ? &the_user : NULL);
    return verdict;
}

static void given_two_registrations_when_looked_up_then_the_last_wins(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    connect_agent(r, NEW, KEY, SLICE_EMPTY);
    assert_int_equal(router_find(r, PROJECT, DEV), NEW);
    assert_int_equal(router_find(r, PROJECT, SLICE("staging")), 0);
}

/* Flaw F13 of the reference. */
static void given_stale_connection_when_it_ends_then_the_live_route_stays(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    connect_agent(r, NEW, KEY, SLICE_EMPTY);
    router_session_closed(r, OLD);
    assert_int_equal(router_find(r, PROJECT, DEV), NEW);
    router_session_closed(r, NEW);
    assert_int_equal(router_find(r, PROJECT, DEV), 0);
}

static void given_closed_session_when_its_registration_is_done_then_there_is_no_route(void **state)
{
    struct router *r = *state;
    router_session_opened(r, OLD, ORGANIZATION, KEY);
    router_session_closed(r, OLD);
    router_register(r, OLD, PROJECT, DEV);
    assert_int_equal(router_find(r, PROJECT, DEV), 0);
}

static void given_call_when_answered_then_accepted_once(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    call(r, "a", OLD, TIME_NEVER);
    assert_int_equal(router_call_session(r, SLICE("a")), OLD);
    assert_int_equal(complete(r, "a", OLD), ROUTER_ACCEPTED);
    assert_int_equal(complete(r, "a", OLD), ROUTER_COMPLETED);
    assert_int_equal(complete(r, "never", OLD), ROUTER_UNKNOWN);
    assert_int_equal(router_call_session(r, SLICE("a")), 0);
}

/* Flaw F12 of the reference. */
static void given_agent_that_reconnected_when_it_answers_then_accepted(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    call(r, "a", OLD, TIME_NEVER);
    router_session_closed(r, OLD);
    connect_agent(r, NEW, KEY, SLICE_EMPTY);
    assert_int_equal(complete(r, "a", NEW), ROUTER_ACCEPTED);
    assert_int_equal(router_counters(r)->accepted_elsewhere, 1);
}

static void given_agent_that_has_not_registered_again_when_it_answers_then_accepted(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    call(r, "a", OLD, TIME_NEVER);
    router_session_closed(r, OLD);
    router_session_opened(r, NEW, ORGANIZATION, KEY);
    assert_int_equal(complete(r, "a", NEW), ROUTER_ACCEPTED);
}

/* Seed 194477488577 of the simulation: the registration of a connection that is dead already was
 * still on its way, and took the route. */
static void
given_late_registration_of_a_dead_connection_when_the_live_one_answers_then_accepted(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    call(r, "a", OLD, TIME_NEVER);
    router_session_closed(r, OLD);
    connect_agent(r, NEW, KEY, SLICE_EMPTY);
    connect_agent(r, OTHER, KEY, SLICE_EMPTY);
    assert_int_equal(complete(r, "a", NEW), ROUTER_ACCEPTED);
}

static void given_other_key_when_it_answers_then_refused_and_the_call_stays(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    call(r, "a", OLD, TIME_NEVER);
    connect_agent(r, OTHER, SLICE("key-2"), SLICE_EMPTY);
    assert_int_equal(complete(r, "a", OTHER), ROUTER_FOREIGN);
    assert_int_equal(complete(r, "a", OLD), ROUTER_ACCEPTED);
}

static void given_named_agents_when_another_answers_then_refused(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE("agent-1"));
    call(r, "a", OLD, TIME_NEVER);
    connect_agent(r, OTHER, KEY, SLICE("agent-2"));
    assert_int_equal(complete(r, "a", OTHER), ROUTER_FOREIGN);
    connect_agent(r, NEW, KEY, SLICE("agent-1"));
    assert_int_equal(complete(r, "a", NEW), ROUTER_ACCEPTED);
}

static void given_agent_of_other_route_when_it_answers_then_refused(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    call(r, "a", OLD, TIME_NEVER);
    router_session_opened(r, OTHER, ORGANIZATION, KEY);
    router_register(r, OTHER, PROJECT, SLICE("staging"));
    assert_int_equal(complete(r, "a", OTHER), ROUTER_FOREIGN);
}

static void given_deadlines_when_time_passes_then_calls_expire_in_turn(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    assert_true(router_next_deadline(r) == TIME_NEVER);
    call(r, "late", OLD, 20);
    call(r, "soon", OLD, 10);
    assert_true(router_next_deadline(r) == 10);
    assert_null(router_expire(r, 9));
    assert_ptr_equal(router_expire(r, 10), &the_user);
    assert_null(router_expire(r, 10));
    assert_true(router_next_deadline(r) == 20);
    assert_int_equal(complete(r, "soon", OLD), ROUTER_COMPLETED);
    assert_int_equal(complete(r, "late", OLD), ROUTER_ACCEPTED);
    assert_true(router_next_deadline(r) == TIME_NEVER);
}

static void given_call_when_canceled_then_its_result_counts_as_late(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    call(r, "a", OLD, TIME_NEVER);
    assert_ptr_equal(router_cancel(r, SLICE("a")), &the_user);
    assert_null(router_cancel(r, SLICE("a")));
    assert_int_equal(complete(r, "a", OLD), ROUTER_COMPLETED);
}

static void given_many_completed_calls_then_the_oldest_are_forgotten(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE_EMPTY);
    char id[16];
    for (int i = 0; i <= ROUTER_COMPLETED_MAX; i++) {
        (void)snprintf(id, sizeof(id), "%d", i);
        call(r, id, OLD, TIME_NEVER);
        assert_int_equal(complete(r, id, OLD), ROUTER_ACCEPTED);
    }
    assert_int_equal(complete(r, "0", OLD), ROUTER_UNKNOWN);
    assert_int_equal(complete(r, "1", OLD), ROUTER_COMPLETED);
}

static void restore_call(struct router *r, const char *id, struct slice agent_id)
{
    const struct router_call begun = {.id = marline__slice_text(id),
                                      .organization = ORGANIZATION,
                                      .agent_id = agent_id,
                                      .is_test = true,
                                      .project = PROJECT,
                                      .environment = DEV,
                                      .deadline_ns = TIME_NEVER,
                                      .user = &the_user};
    router_call_begin(r, &begun);
}

static bool has_one(const void *reported, struct slice id)
{
    return marline__slice_is(id, reported);
}

static void given_reconnected_agent_when_it_reports_then_what_it_lacks_is_lost(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE("a"));
    call(r, "has", OLD, TIME_NEVER);
    call(r, "lacks", OLD, TIME_NEVER);
    connect_agent(r, NEW, KEY, SLICE("a"));
    call(r, "new", NEW, TIME_NEVER); /* on its way: no report can know it */
    router_reported(r, NEW, has_one, "has");
    assert_ptr_equal(router_next_lost(r), &the_user);
    assert_null(router_next_lost(r));
    assert_int_equal(complete(r, "lacks", NEW), ROUTER_COMPLETED);
    assert_int_equal(complete(r, "has", NEW), ROUTER_ACCEPTED);
    assert_int_equal(complete(r, "new", NEW), ROUTER_ACCEPTED);
    assert_int_equal(router_counters(r)->lost, 1);
}

static void given_other_agent_when_it_reports_then_nothing_is_lost(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE("a"));
    call(r, "i", OLD, TIME_NEVER);
    connect_agent(r, NEW, KEY, SLICE("b"));
    router_reported(r, NEW, has_one, "");
    assert_null(router_next_lost(r));
    connect_agent(r, OTHER, SLICE("key-2"), SLICE("a")); /* says it is "a" */
    router_reported(r, OTHER, has_one, "");
    assert_null(router_next_lost(r));
    assert_int_equal(complete(r, "i", OLD), ROUTER_ACCEPTED);
}

static void given_lost_call_when_its_result_comes_first_then_accepted_and_not_lost(void **state)
{
    struct router *r = *state;
    connect_agent(r, OLD, KEY, SLICE("a"));
    call(r, "i", OLD, TIME_NEVER);
    connect_agent(r, NEW, KEY, SLICE("a"));
    router_reported(r, NEW, has_one, "");
    assert_int_equal(complete(r, "i", NEW), ROUTER_ACCEPTED);
    assert_null(router_next_lost(r));
}

static void given_restored_call_when_its_agent_answers_then_accepted(void **state)
{
    struct router *r = *state;
    restore_call(r, "i", SLICE("a"));
    restore_call(r, "j", SLICE_EMPTY);
    connect_agent(r, NEW, KEY, SLICE("b"));
    assert_int_equal(complete(r, "i", NEW), ROUTER_FOREIGN);
    assert_int_equal(complete(r, "j", NEW), ROUTER_ACCEPTED); /* it serves the project there */
    connect_agent(r, OTHER, KEY, SLICE("a"));
    assert_int_equal(complete(r, "i", OTHER), ROUTER_ACCEPTED);
}

static void given_restored_call_when_its_agent_reports_without_it_then_lost(void **state)
{
    struct router *r = *state;
    restore_call(r, "i", SLICE("a"));
    connect_agent(r, NEW, KEY, SLICE("a"));
    router_reported(r, NEW, has_one, "");
    assert_ptr_equal(router_next_lost(r), &the_user);
}

static void given_restored_call_when_another_organization_answers_then_foreign(void **state)
{
    struct router *r = *state;
    restore_call(r, "i", SLICE("a"));
    router_session_opened(r, NEW, SLICE("33333333-3333-4333-8333-333333333333"), KEY);
    router_session_identified(r, NEW, SLICE("a"));
    assert_int_equal(complete(r, "i", NEW), ROUTER_FOREIGN);
    router_reported(r, NEW, has_one, "");
    assert_null(router_next_lost(r));
}

static void given_invocation_of_an_earlier_life_when_repeated_then_completed(void **state)
{
    struct router *r = *state;
    router_remember_completed(r, SLICE("i"));
    router_remember_completed(r, SLICE("i"));
    connect_agent(r, NEW, KEY, SLICE_EMPTY);
    assert_int_equal(complete(r, "i", NEW), ROUTER_COMPLETED);
}

int main(void)
{
#define ROUTER_TEST(name) cmocka_unit_test_setup_teardown(name, make_router, drop_router)
    const struct CMUnitTest tests[] = {
        ROUTER_TEST(given_two_registrations_when_looked_up_then_the_last_wins),
        ROUTER_TEST(given_stale_connection_when_it_ends_then_the_live_route_stays),
        ROUTER_TEST(given_closed_session_when_its_registration_is_done_then_there_is_no_route),
        ROUTER_TEST(given_call_when_answered_then_accepted_once),
        ROUTER_TEST(given_agent_that_reconnected_when_it_answers_then_accepted),
        ROUTER_TEST(given_agent_that_has_not_registered_again_when_it_answers_then_accepted),
        ROUTER_TEST(
            given_late_registration_of_a_dead_connection_when_the_live_one_answers_then_accepted),
        ROUTER_TEST(given_other_key_when_it_answers_then_refused_and_the_call_stays),
        ROUTER_TEST(given_named_agents_when_another_answers_then_refused),
        ROUTER_TEST(given_agent_of_other_route_when_it_answers_then_refused),
        ROUTER_TEST(given_deadlines_when_time_passes_then_calls_expire_in_turn),
        ROUTER_TEST(given_call_when_canceled_then_its_result_counts_as_late),
        ROUTER_TEST(given_many_completed_calls_then_the_oldest_are_forgotten),
        ROUTER_TEST(given_reconnected_agent_when_it_reports_then_what_it_lacks_is_lost),
        ROUTER_TEST(given_other_agent_when_it_reports_then_nothing_is_lost),
        ROUTER_TEST(given_lost_call_when_its_result_comes_first_then_accepted_and_not_lost),
        ROUTER_TEST(given_restored_call_when_its_agent_answers_then_accepted),
        ROUTER_TEST(given_restored_call_when_its_agent_reports_without_it_then_lost),
        ROUTER_TEST(given_restored_call_when_another_organization_answers_then_foreign),
        ROUTER_TEST(given_invocation_of_an_earlier_life_when_repeated_then_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
