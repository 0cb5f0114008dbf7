/* arena.h - memory that is given back all at once.
 *
 * Blocks come from malloc, each twice the last (16 KiB to 4 MiB), up to a limit. Nothing is freed singly. */
#ifndef FL_BASE_ARENA_H
#define FL_BASE_ARENA_H

#include "fenceline/types.h"

struct fl_arena_block;

struct fl_arena {
    struct fl_arena_block *blocks; /* newest first */
    char *next, *end;              /* free part of the newest block */
    size_t used_bytes;             /* of all blocks */
    size_t limit_bytes;
};

/* An empty arena that will take at most limit_bytes from malloc. Costs nothing until the first alloc. */
void fl_arena_init(struct fl_arena *arena, size_t limit_bytes);

/* Gives everything back; the arena is empty and usable again. */
void fl_arena_release(struct fl_arena *arena);

/* size_bytes of uninitialised memory, aligned for any type, or NULL when the limit or memory is exhausted.
 * size 0 gives a valid pointer that must not be followed. */
void *fl_arena_alloc(struct fl_arena *arena, size_t size_bytes);

/* Moves ptr (old_bytes, from this arena, or NULL) to a place of new_bytes >= old_bytes, in place where it was
 * the last one allocated. NULL when memory is exhausted; ptr stays valid. */
void *fl_arena_grow(struct fl_arena *arena, void *ptr, size_t old_bytes, size_t new_bytes);

/* A copy of text in the arena, with a NUL behind it. ptr == NULL when memory is exhausted. */
struct fl_slice fl_arena_copy(struct fl_arena *arena, struct fl_slice text);

/* printf into the arena (at most 2047 bytes); a NUL follows. ptr == NULL when memory is exhausted. */
struct fl_slice fl_arena_format(struct fl_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
