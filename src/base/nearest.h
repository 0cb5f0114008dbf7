/* nearest.h - "did you mean": the known name that is most like a mistyped one. */
#ifndef FL_BASE_NEAREST_H
#define FL_BASE_NEAREST_H

#include "fenceline/types.h"

enum { FL_NEAREST_BYTES = 64 };

/* Search for the nearest of some names; offer them one by one. */
struct fl_nearest {
    struct fl_slice wanted;
    const char *best; /* NULL = nothing is near enough (more than half of its letters differ) */
    size_t best_distance;
};

/* wanted is borrowed. One longer than FL_NEAREST_BYTES is near nothing. */
void fl_nearest_init(struct fl_nearest *nearest, struct fl_slice wanted);

/* Keeps name if it is nearer than what was offered before; name is borrowed. */
void fl_nearest_offer(struct fl_nearest *nearest, const char *name);

/* Smallest number of letters to insert, remove, replace, or swap with a neighbour, to make a of b; case does
 * not count. Both must have at most FL_NEAREST_BYTES. */
size_t fl_nearest_distance(struct fl_slice a, struct fl_slice b);

#endif
