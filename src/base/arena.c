/* arena.c - a list of malloc'ed blocks, handed out from the newest one.
 *
 * Happy path: alloc moves a pointer. A request that does not fit starts a block twice as large as the last
 * (so that a small import stays small), or as large as the request. Failure: NULL, nothing changes. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK_BYTES = 16 * 1024, LARGEST_STEP_BYTES = 4 * 1024 * 1024 };

struct fl_arena_block {
    struct fl_arena_block *older;
    size_t size_bytes;
    _Alignas(ALIGNMENT) char data[];
};

void fl_arena_init(struct fl_arena *arena, size_t limit_bytes)
{
    *arena = (struct fl_arena){.limit_bytes = limit_bytes};
}

void fl_arena_release(struct fl_arena *arena)
{
    while (arena->blocks) {
        struct fl_arena_block *older = arena->blocks->older;
        free(arena->blocks);
        arena->blocks = older;
    }
    fl_arena_init(arena, arena->limit_bytes);
}

static bool add_block(struct fl_arena *arena, size_t at_least_bytes)
{
    size_t size_bytes = arena->blocks ? arena->blocks->size_bytes * 2 : FIRST_BLOCK_BYTES;
    if (size_bytes > LARGEST_STEP_BYTES)
        size_bytes = LARGEST_STEP_BYTES;
    size_t left_bytes = arena->limit_bytes - arena->used_bytes;
    if (size_bytes > left_bytes)
        size_bytes = left_bytes;
    if (size_bytes < at_least_bytes)
        size_bytes = at_least_bytes;
    if (size_bytes > left_bytes)
        return false;
    struct fl_arena_block *block = malloc(sizeof *block + size_bytes);
    if (!block)
        return false;
    block->older = arena->blocks;
    block->size_bytes = size_bytes;
    arena->blocks = block;
    arena->used_bytes += size_bytes;
    arena->next = block->data;
    arena->end = block->data + size_bytes;
    return true;
}

void *fl_arena_alloc(struct fl_arena *arena, size_t size_bytes)
{
    if (size_bytes > arena->limit_bytes || size_bytes > SIZE_MAX - ALIGNMENT)
        return NULL;
    size_t rounded = (size_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if ((!arena->next || rounded > (size_t)(arena->end - arena->next)) && !add_block(arena, rounded))
        return NULL;
    void *result = arena->next;
    arena->next += rounded;
    return result;
}

void *fl_arena_grow(struct fl_arena *arena, void *ptr, size_t old_bytes, size_t new_bytes)
{
    size_t old_rounded = (old_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (ptr && (char *)ptr + old_rounded == arena->next && new_bytes <= (size_t)(arena->end - (char *)ptr)) {
        size_t new_rounded = (new_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
        if (new_rounded <= (size_t)(arena->end - (char *)ptr)) {
            arena->next = (char *)ptr + new_rounded;
            return ptr;
        }
    }
    void *result = fl_arena_alloc(arena, new_bytes);
    if (result && ptr)
        memcpy(result, ptr, old_bytes);
    return result;
}

struct fl_slice fl_arena_copy(struct fl_arena *arena, struct fl_slice text)
{
    char *copy = fl_arena_alloc(arena, text.len + 1);
    if (!copy)
        return (struct fl_slice){0};
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    return (struct fl_slice){copy, text.len};
}

struct fl_slice fl_arena_format(struct fl_arena *arena, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0)
        return (struct fl_slice){0};
    size_t kept = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
    return fl_arena_copy(arena, (struct fl_slice){line, kept});
}
