/* test_fence.c - which tokens may be claimed, whose a claim is, and nonces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/fence.h"

#define TWO_32 ((int64_t)1 << 32)
#define TWO_53 ((int64_t)1 << 53)

static void test_token_verdicts(void **state)
{
    (void)state;
    static const struct {
        int64_t token, fence;
        enum fl_token_verdict verdict;
    } CASES[] = {
        {1, 0, FL_TOKEN_GOOD},
        {0, 0, FL_TOKEN_TOO_LOW},
        {-1, 0, FL_TOKEN_TOO_LOW},
        {INT64_MIN, 5, FL_TOKEN_TOO_LOW},
        {41, 41, FL_TOKEN_TOO_LOW},
        {40, 41, FL_TOKEN_TOO_LOW},
        {42, 41, FL_TOKEN_GOOD},
        {TWO_32, 0, FL_TOKEN_GOOD},
        {TWO_32 + 1, 0, FL_TOKEN_POISONED},
        {41 + TWO_32, 41, FL_TOKEN_GOOD},
        {42 + TWO_32, 41, FL_TOKEN_POISONED},
        {TWO_53 - 1, TWO_53 - 2, FL_TOKEN_GOOD},
        {TWO_53 - 1, TWO_53 - 1 - TWO_32, FL_TOKEN_GOOD},
        {TWO_53, TWO_53 - 1, FL_TOKEN_POISONED},
        {TWO_53 + 1, TWO_53 - 1, FL_TOKEN_POISONED},
        {INT64_MAX, 0, FL_TOKEN_POISONED},
        {INT64_MAX, INT64_MAX - 1, FL_TOKEN_POISONED}, /* no overflow on the way */
        {1, INT64_MAX, FL_TOKEN_TOO_LOW},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        assert_int_equal(
            fl_fence_check_token((struct fl_token){CASES[i].token}, (struct fl_fence){CASES[i].fence}),
            CASES[i].verdict);
}

static void test_claim_is_mine_only_whole(void **state)
{
    (void)state;
    const struct fl_nonce mine = fl_fence_nonce((uint64_t[]){1, 2});
    const struct fl_token token = {9};
    assert_true(fl_fence_is_mine((struct fl_fence){9}, mine, token, mine));
    assert_false(fl_fence_is_mine((struct fl_fence){10}, mine, token, mine));
    assert_false(fl_fence_is_mine((struct fl_fence){8}, mine, token, mine));
    for (int i = 0; i < FL_NONCE_LEN; i++) {
        struct fl_nonce other = mine;
        other.hex[i] = other.hex[i] == 'f' ? '0' : 'f';
        assert_false(fl_fence_is_mine((struct fl_fence){9}, other, token, mine));
    }
    struct fl_nonce none = {{0}}; /* never claimed */
    assert_false(fl_fence_is_mine((struct fl_fence){9}, none, token, mine));
}

static void test_nonce_is_all_128_bits_in_hex(void **state)
{
    (void)state;
    const struct fl_nonce zero = fl_fence_nonce((uint64_t[]){0, 0});
    assert_string_equal(zero.hex, "00000000000000000000000000000000");
    const struct fl_nonce ones = fl_fence_nonce((uint64_t[]){UINT64_MAX, UINT64_MAX});
    assert_string_equal(ones.hex, "ffffffffffffffffffffffffffffffff");
    for (unsigned bit = 0; bit < 128; bit++) {
        uint64_t random[2] = {0, 0};
        random[bit / 64] = (uint64_t)1 << (bit % 64);
        const struct fl_nonce nonce = fl_fence_nonce(random);
        assert_int_equal(strlen(nonce.hex), FL_NONCE_LEN);
        assert_int_equal(strspn(nonce.hex, "01248"), FL_NONCE_LEN);
        assert_string_not_equal(nonce.hex, zero.hex);
        assert_int_equal(strspn(nonce.hex, "0") + strspn(nonce.hex + strspn(nonce.hex, "0") + 1, "0") + 1,
                         FL_NONCE_LEN); /* one digit only */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_verdicts),
        cmocka_unit_test(test_claim_is_mine_only_whole),
        cmocka_unit_test(test_nonce_is_all_128_bits_in_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
