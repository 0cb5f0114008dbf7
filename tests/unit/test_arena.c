/* test_arena.c - alignment, limits, growing in place, copies, formatted text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/slice.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

static void test_costs_nothing_until_the_first_alloc(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, 0);
    assert_int_equal(arena.used_bytes, 0);
    assert_null(arena.blocks);
    assert_null(fl_arena_alloc(&arena, 1)); /* a limit of nothing gives nothing */
    fl_arena_release(&arena);
    fl_arena_release(&arena);
}

static void test_pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, 8 * MIB);
    enum { PIECES = 3000 };
    static unsigned char *pieces[PIECES];
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = fl_arena_alloc(&arena, i % 700 + 1);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        memset(pieces[i], (int)(i % 251), i % 700 + 1);
    }
    for (size_t i = 0; i < PIECES; i++)
        for (size_t at = 0; at < i % 700 + 1; at++)
            assert_int_equal(pieces[i][at], i % 251);
    fl_arena_release(&arena);
}

static void test_size_0_gives_a_pointer(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, MIB);
    assert_non_null(fl_arena_alloc(&arena, 0));
    fl_arena_release(&arena);
}

static void test_limit_holds_for_all_blocks(void **state)
{
    (void)state;
    static const size_t LIMITS[] = {100, 16 * KIB, 100 * KIB, MIB, 10 * MIB};
    for (size_t i = 0; i < sizeof(LIMITS) / sizeof(LIMITS[0]); i++) {
        struct fl_arena arena;
        fl_arena_init(&arena, LIMITS[i]);
        size_t given = 0;
        while (given <= LIMITS[i] && fl_arena_alloc(&arena, 1000))
            given += 1000;
        assert_true(given <= LIMITS[i]);
        assert_true(arena.used_bytes <= LIMITS[i]);
        /* Blocks are cut to what is left, so that a large limit is usable nearly whole. */
        if (LIMITS[i] >= MIB)
            assert_true(given >= LIMITS[i] / 2);
        assert_null(fl_arena_alloc(&arena, LIMITS[i]));
        fl_arena_release(&arena);
        assert_int_equal(arena.used_bytes, 0);
        if (LIMITS[i] >= 16 * KIB)
            assert_non_null(fl_arena_alloc(&arena, 1000)); /* usable again, with the same limit */
        fl_arena_release(&arena);
    }
}

static void test_piece_larger_than_any_block(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, 32 * MIB);
    char *small = fl_arena_alloc(&arena, 10);
    char *large = fl_arena_alloc(&arena, 20 * MIB);
    assert_non_null(small);
    assert_non_null(large);
    large[0] = large[20 * MIB - 1] = 'x';
    assert_null(fl_arena_alloc(&arena, 20 * MIB));
    assert_non_null(fl_arena_alloc(&arena, 10)); /* a refusal spoils nothing */
    fl_arena_release(&arena);
}

static void test_absurd_sizes_are_refused(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, SIZE_MAX);
    char *text = fl_arena_alloc(&arena, 16);
    assert_non_null(text);
    for (size_t less = 0; less < 64; less++) {
        assert_null(fl_arena_alloc(&arena, SIZE_MAX - less));
        assert_null(fl_arena_grow(&arena, text, 16, SIZE_MAX - less));
    }
    memset(text, 'x', 16);
    fl_arena_release(&arena);
}

static void test_last_piece_grows_in_place(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, MIB);
    char *text = fl_arena_grow(&arena, NULL, 0, 8);
    assert_non_null(text);
    memcpy(text, "12345678", 8);
    char *grown = fl_arena_grow(&arena, text, 8, 4000);
    assert_ptr_equal(grown, text);
    memset(grown + 8, 'x', 4000 - 8);
    char *next = fl_arena_alloc(&arena, 8); /* begins behind it */
    assert_true(next >= grown + 4000 || next + 8 <= grown);
    assert_memory_equal(grown, "12345678", 8);
    fl_arena_release(&arena);
}

static void test_other_pieces_move_when_they_grow(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, MIB);
    char *text = fl_arena_alloc(&arena, 8);
    char *behind = fl_arena_alloc(&arena, 8);
    memcpy(text, "12345678", 8);
    memcpy(behind, "abcdefgh", 8);
    char *grown = fl_arena_grow(&arena, text, 8, 100);
    assert_non_null(grown);
    assert_ptr_not_equal(grown, text);
    assert_memory_equal(grown, "12345678", 8);
    memset(grown, 'x', 100);
    assert_memory_equal(behind, "abcdefgh", 8);
    assert_memory_equal(text, "12345678", 8);
    fl_arena_release(&arena);
}

/* Doubling up to a limit, as the rows of a document do: the content stays through every move and block. */
static void test_grows_over_many_blocks_until_the_limit(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, 4 * MIB);
    size_t size = 64;
    unsigned char *bytes = fl_arena_grow(&arena, NULL, 0, size);
    assert_non_null(bytes);
    memset(bytes, 1, size);
    for (;;) {
        unsigned char *grown = fl_arena_grow(&arena, bytes, size, size * 2);
        if (!grown)
            break;
        for (size_t i = 0; i < size; i += 37)
            assert_int_equal(grown[i], 1);
        memset(grown + size, 1, size);
        bytes = grown;
        size *= 2;
    }
    assert_true(size >= MIB);
    assert_true(arena.used_bytes <= 4 * MIB);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(bytes[i], 1); /* still valid after the refusal */
    fl_arena_release(&arena);
}

static void test_copy_ends_with_a_nul(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, MIB);
    char text[] = {'a', '\0', 'b', 'c'};
    struct fl_slice copy = fl_arena_copy(&arena, (struct fl_slice){text, 3});
    text[0] = 'x';
    assert_int_equal(copy.len, 3);
    assert_memory_equal(copy.ptr, "a\0b", 4);
    struct fl_slice empty = fl_arena_copy(&arena, FL_SLICE(""));
    assert_non_null(empty.ptr);
    assert_int_equal(empty.len, 0);
    assert_int_equal(empty.ptr[0], '\0');
    fl_arena_release(&arena);
    fl_arena_init(&arena, 0);
    assert_null(fl_arena_copy(&arena, FL_SLICE("abc")).ptr);
    fl_arena_release(&arena);
}

static void test_format(void **state)
{
    (void)state;
    struct fl_arena arena;
    fl_arena_init(&arena, MIB);
    struct fl_slice text = fl_arena_format(&arena, "%s has %d rows", "ep39", 12);
    assert_true(fl_slice_is(text, "ep39 has 12 rows"));
    assert_int_equal(text.ptr[text.len], '\0');
    text = fl_arena_format(&arena, "%s", "");
    assert_non_null(text.ptr);
    assert_int_equal(text.len, 0);
    text = fl_arena_format(&arena, "%2047d", 7);
    assert_int_equal(text.len, 2047);
    assert_int_equal(text.ptr[2046], '7');
    text = fl_arena_format(&arena, "%05000d", 7);
    assert_int_equal(text.len, 2047);
    assert_int_equal(strlen(text.ptr), 2047);
    fl_arena_release(&arena);
    fl_arena_init(&arena, 0);
    assert_null(fl_arena_format(&arena, "%d", 1).ptr);
    fl_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_costs_nothing_until_the_first_alloc),
        cmocka_unit_test(test_pieces_are_aligned_and_apart),
        cmocka_unit_test(test_size_0_gives_a_pointer),
        cmocka_unit_test(test_limit_holds_for_all_blocks),
        cmocka_unit_test(test_piece_larger_than_any_block),
        cmocka_unit_test(test_absurd_sizes_are_refused),
        cmocka_unit_test(test_last_piece_grows_in_place),
        cmocka_unit_test(test_other_pieces_move_when_they_grow),
        cmocka_unit_test(test_grows_over_many_blocks_until_the_limit),
        cmocka_unit_test(test_copy_ends_with_a_nul),
        cmocka_unit_test(test_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
