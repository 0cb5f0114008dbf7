/* test_lease.c - the local view of a lease: its deadline, and when to renew it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/lease.h"

enum { SENT_MS = 50000, TTL_MS = 30000, MAX_MS = 600000, STALL_MS = 60000 };

static const struct fl_import_policy POLICY = {
    .lease_ttl_ms = TTL_MS, .lease_max_ms = MAX_MS, .lease_stall_ms = STALL_MS};
static const uint64_t RANDOM[2] = {0x0123456789abcdef, 0xfedcba9876543210};

/* Granted after a slow reply of 2 s. */
static struct fl_lease granted(void)
{
    struct fl_lease lease = {.lost = true, .renew_op = 9, .renewals = 3};
    fl_lease_begin(&lease, RANDOM, SENT_MS);
    fl_lease_grant(&lease, (struct fl_token){8}, &POLICY, SENT_MS + 2000);
    return lease;
}

static void test_begin_owes_a_release_and_holds_nothing(void **state)
{
    (void)state;
    struct fl_lease lease = {.held = true, .lost = true, .renew_op = 5, .renewals = 3};
    memset(lease.nonce.hex, 'x', sizeof(lease.nonce.hex));
    fl_lease_begin(&lease, RANDOM, SENT_MS);
    assert_true(lease.owed);
    assert_false(lease.held);
    assert_false(lease.lost);
    assert_int_equal(lease.renew_op, 0);
    assert_int_equal(lease.renewals, 0);
    assert_int_equal(strlen(lease.nonce.hex), FL_NONCE_LEN);
    assert_int_equal(strspn(lease.nonce.hex, "0123456789abcdef"), FL_NONCE_LEN);
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, SENT_MS + TTL_MS, 1)); /* not granted */
}

static void test_deadline_counts_from_the_sending(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    assert_true(lease.held);
    assert_true(lease.owed);
    assert_int_equal(lease.token.n, 8);
    assert_int_equal(lease.granted_ms, SENT_MS);
    assert_int_equal(lease.deadline_ms, SENT_MS + TTL_MS);
    assert_false(fl_lease_is_over(&lease, SENT_MS + TTL_MS - 1));
    assert_true(fl_lease_is_over(&lease, SENT_MS + TTL_MS));
}

static void test_granted_after_its_own_deadline(void **state)
{
    (void)state;
    struct fl_lease lease = {0};
    fl_lease_begin(&lease, RANDOM, SENT_MS);
    fl_lease_grant(&lease, (struct fl_token){8}, &POLICY, SENT_MS + TTL_MS + 5);
    assert_true(fl_lease_is_over(&lease, SENT_MS + TTL_MS + 5));
    assert_true(lease.owed);
}

static void test_renewal_is_due_well_before_the_deadline(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    assert_in_range(lease.renew_at_ms, SENT_MS + 1, SENT_MS + TTL_MS / 2);
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, lease.renew_at_ms - 1, 1));
    assert_true(fl_lease_wants_renewal(&lease, &POLICY, lease.renew_at_ms, 2));
}

static void test_only_one_renewal_in_flight(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    int64_t due_ms = lease.renew_at_ms;
    fl_lease_renewing(&lease, 17, due_ms);
    assert_int_equal(lease.renew_op, 17);
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, due_ms, 2));
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, due_ms + TTL_MS, 3));
}

static void test_renewed_deadline_counts_from_the_renewals_sending(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    int64_t due_ms = lease.renew_at_ms;
    assert_true(fl_lease_wants_renewal(&lease, &POLICY, due_ms, 2));
    fl_lease_renewing(&lease, 17, due_ms);
    assert_int_equal(lease.deadline_ms, SENT_MS + TTL_MS); /* nothing is promised yet */
    fl_lease_renewed(&lease, &POLICY, true);
    assert_int_equal(lease.renew_op, 0);
    assert_int_equal(lease.renewals, 1);
    assert_int_equal(lease.deadline_ms, due_ms + TTL_MS);
    assert_in_range(lease.renew_at_ms, due_ms + 1, due_ms + TTL_MS / 2);
    assert_int_equal(lease.granted_ms, SENT_MS);
    assert_false(fl_lease_is_over(&lease, due_ms + TTL_MS - 1));
}

static void test_gone_is_over_at_once(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    int64_t due_ms = lease.renew_at_ms;
    fl_lease_renewing(&lease, 17, due_ms);
    fl_lease_renewed(&lease, &POLICY, false);
    assert_true(lease.lost);
    assert_true(fl_lease_is_over(&lease, due_ms));
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, due_ms + TTL_MS, 9));
    assert_int_equal(lease.renew_at_ms, FL_NEVER_MS);
}

static void test_unanswered_renewal_is_tried_again_soon(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    int64_t due_ms = lease.renew_at_ms, failed_ms = due_ms + 300;
    fl_lease_renewing(&lease, 17, due_ms);
    fl_lease_renewal_failed(&lease, &POLICY, failed_ms);
    assert_int_equal(lease.renew_op, 0);
    assert_false(lease.lost);
    assert_int_equal(lease.deadline_ms, SENT_MS + TTL_MS); /* unknown: does not move */
    assert_in_range(lease.renew_at_ms, failed_ms + 1, SENT_MS + TTL_MS - 1);
    assert_true(lease.renew_at_ms - failed_ms < due_ms - SENT_MS); /* sooner than a healthy one */
    assert_true(fl_lease_wants_renewal(&lease, &POLICY, lease.renew_at_ms, 2));
}

static void test_no_progress_ends_renewal_for_good(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    int64_t now_ms = SENT_MS + 2000;
    int renewals = 0;
    while (lease.renew_at_ms != FL_NEVER_MS && renewals < 100) {
        now_ms = lease.renew_at_ms;
        if (!fl_lease_wants_renewal(&lease, &POLICY, now_ms, 1))
            continue;
        fl_lease_renewing(&lease, (uint32_t)++renewals, now_ms);
        fl_lease_renewed(&lease, &POLICY, true);
    }
    assert_true(renewals >= 2 && renewals < 100);
    assert_in_range(now_ms, SENT_MS + STALL_MS, SENT_MS + STALL_MS + TTL_MS);
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, now_ms + 1, 2)); /* too late to move again */
    assert_int_equal(lease.renew_at_ms, FL_NEVER_MS);
    assert_true(fl_lease_is_over(&lease, now_ms + TTL_MS));
}

static void test_progress_keeps_it_until_the_cap(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    int64_t now_ms = SENT_MS + 2000, last_ms = 0;
    uint64_t progress = 1;
    uint32_t renewals = 0;
    while (lease.renew_at_ms != FL_NEVER_MS && renewals < 1000) {
        now_ms = lease.renew_at_ms;
        if (!fl_lease_wants_renewal(&lease, &POLICY, now_ms, progress++))
            continue;
        last_ms = now_ms;
        fl_lease_renewing(&lease, ++renewals, now_ms);
        fl_lease_renewed(&lease, &POLICY, true);
    }
    assert_int_equal(lease.renewals, renewals);
    assert_in_range(renewals, MAX_MS / (TTL_MS / 2), 999);
    assert_in_range(last_ms, SENT_MS + MAX_MS - TTL_MS, SENT_MS + MAX_MS);
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, SENT_MS + MAX_MS + 1, progress));
}

static void test_end_forgets(void **state)
{
    (void)state;
    struct fl_lease lease = granted();
    fl_lease_renewing(&lease, 17, lease.renew_at_ms);
    fl_lease_end(&lease);
    assert_false(lease.owed);
    assert_false(lease.held);
    assert_int_equal(lease.renew_op, 0);
    assert_int_equal(lease.renew_at_ms, FL_NEVER_MS);
    assert_false(fl_lease_wants_renewal(&lease, &POLICY, SENT_MS + TTL_MS, 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_begin_owes_a_release_and_holds_nothing),
        cmocka_unit_test(test_deadline_counts_from_the_sending),
        cmocka_unit_test(test_granted_after_its_own_deadline),
        cmocka_unit_test(test_renewal_is_due_well_before_the_deadline),
        cmocka_unit_test(test_only_one_renewal_in_flight),
        cmocka_unit_test(test_renewed_deadline_counts_from_the_renewals_sending),
        cmocka_unit_test(test_gone_is_over_at_once),
        cmocka_unit_test(test_unanswered_renewal_is_tried_again_soon),
        cmocka_unit_test(test_no_progress_ends_renewal_for_good),
        cmocka_unit_test(test_progress_keeps_it_until_the_cap),
        cmocka_unit_test(test_end_forgets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
