/* cases_redis.c - leases: taken, kept, given back, expired, lost and come back, and those who wait for them
 * (PROTOCOL 2, 4 and 8). See contract.h. */
#include "attempt.h"

#include <string.h>

#define CH FL_CHAPTERS

enum { SHORT_MS = 250 };

static struct attempt *new_attempt(int client)
{
    return contract_attempt(client, 0, contract_add(CH, FL_MODE_REPLACE), CH, FL_MODE_REPLACE);
}

static struct contract_lease look(void)
{
    return contract.backend->lease(contract.episodes[0]);
}

static void assert_holder(const struct attempt *a)
{
    struct contract_lease lease = look();
    assert_true(lease.is_held);
    contract_assert_nonce(&lease.nonce, &a->import.lease.nonce);
    assert_int_equal(lease.token, a->import.lease.token.n);
}

static void busy(struct attempt *a)
{
    const struct fl_event *ev = contract_ask(a, FL_ACTION_LEASE);
    assert_false(ev->leased.granted);
    assert_in_range(ev->leased.remaining_ms, 0, a->policy.lease_ttl_ms);
}

/* ---- LEASE ---- */

static void test_lease_is_free(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_lease(a);
    assert_int_equal(a->import.lease.token.n, 1);
    assert_holder(a);
    struct contract_lease lease = look();
    assert_in_range(lease.remaining_ms, CONTRACT_TTL_MS / 2, CONTRACT_TTL_MS);
    assert_int_equal(lease.counter, 1);
}

static void lease_with(int64_t counter, int64_t fence, int64_t expected)
{
    struct attempt *a = new_attempt(0);
    contract.backend->set_counter(contract.episodes[0], counter);
    a->import.fence.n = fence;
    contract_lease(a);
    assert_int_equal(a->import.lease.token.n, expected);
    assert_int_equal(look().counter, expected);
}

static void test_counter_below(const void *data)
{
    (void)data;
    lease_with(3, 10, 11);
}

static void test_counter_equal(const void *data)
{
    (void)data;
    lease_with(10, 10, 11);
}

static void test_counter_above(const void *data)
{
    (void)data;
    lease_with(20, 10, 21);
}

static void test_counter_gone(const void *data)
{
    (void)data;
    lease_with(0, 10, 11);
}

static void test_counter_large(const void *data)
{
    (void)data;
    lease_with((INT64_C(1) << 53) - 3, 10, (INT64_C(1) << 53) - 2); /* Lua counts in doubles */
}

static void test_lease_is_held(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    busy(b);
    assert_true(b->answer.leased.remaining_ms > CONTRACT_TTL_MS / 2);
    assert_true(b->answer.leased.holder.len > 0);
    assert_holder(a);
    assert_int_equal(look().counter, 1); /* nothing was minted */
}

/* A lease is not re-entrant, and being refused does not count as having it once more. */
static void test_lease_is_mine(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    busy(a);
    contract_ask(a, FL_ACTION_RELEASE);
    assert_false(look().is_held);
    contract_lease(b);
    assert_int_equal(b->import.lease.token.n, 2);
}

static void test_lease_has_expired(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    a->policy.lease_ttl_ms = SHORT_MS;
    contract_lease(a);
    busy(b);
    contract.backend->run_for(SHORT_MS + 20);
    assert_false(look().is_held);
    contract_lease(b);
    assert_int_equal(b->import.lease.token.n, 2);
    assert_holder(b);
}

static void test_lease_after_release(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    contract_ask(a, FL_ACTION_RELEASE);
    contract_lease(b);
    assert_int_equal(b->import.lease.token.n, 2);
}

static void test_lease_without_ttl(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    a->policy.lease_ttl_ms = 0;
    contract_send(a, FL_ACTION_LEASE, -1);
    assert_int_equal(contract_await(a)->status, FL_FAILED);
    a->policy.lease_ttl_ms = -5;
    contract_send(a, FL_ACTION_LEASE, -1);
    assert_int_equal(contract_await(a)->status, FL_FAILED);
    struct contract_lease lease = look();
    assert_false(lease.is_held);
    assert_int_equal(lease.counter, 0);
}

static void test_leases_of_one_turn(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(0);
    struct attempt *other =
        contract_attempt(0, 1, contract_add_to(1, CH, FL_MODE_REPLACE), CH, FL_MODE_REPLACE);
    contract_send(a, FL_ACTION_LEASE, -1);
    contract_send(b, FL_ACTION_LEASE, -1);
    contract_send(other, FL_ACTION_LEASE, -1);
    assert_int_equal(contract_await(a)->status, FL_OK);
    assert_int_equal(contract_await(b)->status, FL_OK);
    assert_int_equal(contract_await(other)->status, FL_OK);
    assert_true(a->answer.leased.granted);
    assert_false(b->answer.leased.granted);
    assert_true(other->answer.leased.granted);
}

/* ---- LEASE_CHECK ---- */

static void assert_mine(struct attempt *a, bool expected)
{
    const struct fl_event *ev = contract_ask(a, FL_ACTION_LEASE_CHECK);
    assert_int_equal(ev->lease_seen.mine, expected);
    if (expected)
        assert_int_equal(ev->lease_seen.token.n, a->import.lease.token.n);
}

static void test_check(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    assert_mine(a, false); /* none */
    contract_lease(a);
    assert_mine(a, true);
    assert_mine(b, false);
    b->import.lease.nonce = a->import.lease.nonce;
    b->import.lease.nonce.hex[FL_NONCE_LEN - 1] ^= 1; /* compared whole */
    assert_mine(b, false);
    contract_ask(a, FL_ACTION_RELEASE);
    assert_mine(a, false);
}

static void test_check_expired(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    a->policy.lease_ttl_ms = SHORT_MS;
    contract_lease(a);
    contract.backend->run_for(SHORT_MS + 20);
    assert_mine(a, false);
}

/* ---- RENEW ---- */

static void test_renew(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    a->policy.lease_ttl_ms = SHORT_MS * 2;
    contract_lease(a);
    a->policy.lease_ttl_ms = CONTRACT_TTL_MS;
    assert_true(contract_ask(a, FL_ACTION_RENEW)->renewed.held);
    assert_true(look().remaining_ms > CONTRACT_TTL_MS / 2);
    contract.backend->run_for(SHORT_MS * 2 + 20);
    assert_holder(a);
}

static void test_renew_of_another(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    a->policy.lease_ttl_ms = SHORT_MS;
    contract_lease(a);
    assert_false(contract_ask(b, FL_ACTION_RENEW)->renewed.held);
    b->import.lease.nonce = a->import.lease.nonce;
    b->import.lease.nonce.hex[FL_NONCE_LEN - 1] ^= 1;
    assert_false(contract_ask(b, FL_ACTION_RENEW)->renewed.held);
    assert_holder(a);
    assert_true(look().remaining_ms <= SHORT_MS);
}

static void test_renew_of_none(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    assert_false(contract_ask(a, FL_ACTION_RENEW)->renewed.held);
    assert_false(look().is_held);
}

/* A renewal that comes late makes no lease, after a release or an expiry. */
static void test_renew_too_late(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    a->policy.lease_ttl_ms = SHORT_MS;
    contract_lease(a);
    contract.backend->run_for(SHORT_MS + 20);
    assert_false(contract_ask(a, FL_ACTION_RENEW)->renewed.held);
    contract_lease(a);
    contract_ask(a, FL_ACTION_RELEASE);
    assert_false(contract_ask(a, FL_ACTION_RENEW)->renewed.held);
    assert_false(look().is_held);
}

static void test_renew_without_ttl(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_lease(a);
    a->policy.lease_ttl_ms = 0;
    contract_send(a, FL_ACTION_RENEW, -1);
    assert_int_equal(contract_await(a)->status, FL_FAILED);
    assert_holder(a);
    assert_true(look().remaining_ms > CONTRACT_TTL_MS / 2);
}

/* ---- RELEASE ---- */

static void test_release(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_lease(a);
    contract_ask(a, FL_ACTION_RELEASE);
    struct contract_lease lease = look();
    assert_false(lease.is_held);
    assert_int_equal(lease.counter, 1); /* stays */
    contract_ask(a, FL_ACTION_RELEASE); /* once more: nothing */
    assert_false(look().is_held);
}

static void test_release_of_another(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    contract_ask(b, FL_ACTION_RELEASE);
    b->import.lease.nonce = a->import.lease.nonce;
    b->import.lease.nonce.hex[FL_NONCE_LEN - 1] ^= 1;
    contract_ask(b, FL_ACTION_RELEASE);
    assert_holder(a);
}

static void test_release_too_late(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    a->policy.lease_ttl_ms = SHORT_MS;
    contract_lease(a);
    contract.backend->run_for(SHORT_MS + 20);
    contract_lease(b);
    contract_ask(a, FL_ACTION_RELEASE);
    assert_holder(b);
}

/* ---- data that is lost, and that comes back ---- */

static void test_lost_data(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_take(a);
    contract.backend->lose_redis();
    assert_mine(a, false);
    contract_read(b);
    contract_lease(b); /* at once, and above all that was claimed */
    assert_int_equal(b->import.lease.token.n, a->import.lease.token.n + 1);
    contract_ask(a, FL_ACTION_RELEASE);
    assert_holder(b);
}

/* An old copy is loaded: the same token is minted twice, and only one of the two can claim. */
static void test_rolled_back_counter(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract.backend->keep_redis();
    contract_read(b);
    contract_read(a);
    contract_lease(a);
    contract.backend->roll_back_redis();
    contract_lease(b);
    assert_int_equal(a->import.lease.token.n, b->import.lease.token.n);
    contract_claim(a);
    assert_false(contract_ask(b, FL_ACTION_CLAIM)->claimed.claimed);
}

static void test_resurrected_lease(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    contract.backend->keep_redis();
    contract_ask(a, FL_ACTION_RELEASE);
    contract_lease(b);
    contract.backend->roll_back_redis();
    assert_mine(a, true);
    assert_mine(b, false);
    assert_false(contract_ask(b, FL_ACTION_RENEW)->renewed.held);
    contract_ask(b, FL_ACTION_RELEASE);
    assert_holder(a);
}

/* ---- who waits ---- */

static void test_release_wakes(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    busy(b);
    contract_assert_nobody_woken();
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_woken(1, b->import.job.job_id);
}

static void test_release_wakes_one(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1), *c = new_attempt(0);
    contract_lease(a);
    busy(b);
    contract.backend->run_for(3); /* Redis orders them by the millisecond */
    busy(c);
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_woken(1, b->import.job.job_id);
    contract_lease(b);
    contract_ask(b, FL_ACTION_RELEASE);
    contract_assert_woken(0, c->import.job.job_id);
}

static void test_asking_again_goes_to_the_end(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1), *c = new_attempt(0);
    contract_lease(a);
    busy(b);
    contract.backend->run_for(3);
    busy(c);
    contract.backend->run_for(3);
    busy(b);
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_woken(0, c->import.job.job_id);
}

static void test_waiter_is_woken_once(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    busy(b);
    busy(b);
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_woken(1, b->import.job.job_id);
    contract_lease(a);
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_nobody_woken();
}

static void test_holder_waits_no_more(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    a->policy.lease_ttl_ms = SHORT_MS;
    contract_lease(a);
    busy(b);
    contract.backend->run_for(SHORT_MS + 20);
    contract_lease(b);
    contract_ask(b, FL_ACTION_RELEASE);
    contract_assert_nobody_woken();
}

static void test_dead_waiter_is_passed_over(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    contract_lease(a);
    contract.backend->add_dead_waiter(contract.episodes[0]);
    contract.backend->run_for(3);
    busy(b);
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_woken(1, b->import.job.job_id);
}

static void test_waiter_is_forgotten(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1), *c = new_attempt(1);
    contract_lease(a);
    busy(b);
    contract.backend->expire_waiters(contract.episodes[0]);
    busy(c);
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_woken(1, c->import.job.job_id);
}

static void test_only_the_holder_wakes(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    a->policy.lease_ttl_ms = SHORT_MS;
    contract_lease(a);
    busy(b);
    contract_ask(b, FL_ACTION_RELEASE);
    contract_assert_nobody_woken();
    contract.backend->run_for(SHORT_MS);
    contract_ask(a, FL_ACTION_RELEASE); /* has expired */
    contract_assert_nobody_woken();
}

static void test_waiters_of_another_episode(const void *data)
{
    (void)data;
    struct attempt *a = new_attempt(0), *b = new_attempt(1);
    struct attempt *other =
        contract_attempt(0, 1, contract_add_to(1, CH, FL_MODE_REPLACE), CH, FL_MODE_REPLACE);
    contract_lease(a);
    contract_lease(other);
    busy(b);
    contract_ask(other, FL_ACTION_RELEASE);
    contract_assert_nobody_woken();
    contract_ask(a, FL_ACTION_RELEASE);
    contract_assert_woken(1, b->import.job.job_id);
}

/* ---- away ---- */

static void test_redis_is_away(const void *data)
{
    static const enum fl_action_type ACTIONS[] = {FL_ACTION_LEASE, FL_ACTION_LEASE_CHECK, FL_ACTION_RENEW,
                                                  FL_ACTION_RELEASE};
    (void)data;
    struct attempt *a = new_attempt(0);
    contract_lease(a);
    contract.backend->set_down(true, false);
    for (size_t i = 0; i < sizeof ACTIONS / sizeof *ACTIONS; i++) {
        contract_send(a, ACTIONS[i], -1);
        assert_int_equal(contract_await(a)->status, FL_UNAVAILABLE);
    }
    contract.backend->set_down(false, false); /* and it is empty */
    assert_mine(a, false);
    contract_lease(a);
    assert_holder(a);
}

const struct contract_case contract_redis_cases[] = {
    {"lease: free", test_lease_is_free, NULL},
    {"lease: counter below the fence", test_counter_below, NULL},
    {"lease: counter equal to the fence", test_counter_equal, NULL},
    {"lease: counter above the fence", test_counter_above, NULL},
    {"lease: counter gone", test_counter_gone, NULL},
    {"lease: counter near 2^53", test_counter_large, NULL},
    {"lease: held", test_lease_is_held, NULL},
    {"lease: held by myself", test_lease_is_mine, NULL},
    {"lease: expired", test_lease_has_expired, NULL},
    {"lease: after a release", test_lease_after_release, NULL},
    {"lease: for no time", test_lease_without_ttl, NULL},
    {"lease: several in one turn", test_leases_of_one_turn, NULL},
    {"lease-check: none, mine, another's", test_check, NULL},
    {"lease-check: expired", test_check_expired, NULL},
    {"renew: mine", test_renew, NULL},
    {"renew: another's", test_renew_of_another, NULL},
    {"renew: none", test_renew_of_none, NULL},
    {"renew: too late", test_renew_too_late, NULL},
    {"renew: for no time", test_renew_without_ttl, NULL},
    {"release: mine, and again", test_release, NULL},
    {"release: another's", test_release_of_another, NULL},
    {"release: too late", test_release_too_late, NULL},
    {"redis loses its data", test_lost_data, NULL},
    {"redis mints a token twice", test_rolled_back_counter, NULL},
    {"redis brings a lease back", test_resurrected_lease, NULL},
    {"wait: a release wakes", test_release_wakes, NULL},
    {"wait: a release wakes one", test_release_wakes_one, NULL},
    {"wait: who asks again goes to the end", test_asking_again_goes_to_the_end, NULL},
    {"wait: who asked twice is woken once", test_waiter_is_woken_once, NULL},
    {"wait: who has it waits no more", test_holder_waits_no_more, NULL},
    {"wait: the dead are passed over", test_dead_waiter_is_passed_over, NULL},
    {"wait: the forgotten are passed over", test_waiter_is_forgotten, NULL},
    {"wait: only the holder wakes", test_only_the_holder_wakes, NULL},
    {"wait: another episode", test_waiters_of_another_episode, NULL},
    {"redis is away", test_redis_is_away, NULL},
};
CASES_END(redis);
