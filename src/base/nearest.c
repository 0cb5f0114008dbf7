/* nearest.c - edit distance (optimal string alignment) over three rows of the usual table. Pure; long names
 * are refused, so the work for one name is bounded by FL_NEAREST_BYTES squared. */
#include "base/nearest.h"

#include <string.h>

#include "base/slice.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t fl_nearest_distance(struct fl_slice a, struct fl_slice b)
{
    size_t rows[3][FL_NEAREST_BYTES + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *oldest = before;
        before = above;
        above = row;
        row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            char x = lower(a.ptr[i - 1]), y = lower(b.ptr[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            bool swapped = i > 1 && j > 1 && x == lower(b.ptr[j - 2]) && y == lower(a.ptr[i - 2]);
            if (swapped)
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
    }
    return row[b.len];
}

void fl_nearest_init(struct fl_nearest *nearest, struct fl_slice wanted)
{
    *nearest = (struct fl_nearest){.wanted = wanted, .best_distance = SIZE_MAX};
}

void fl_nearest_offer(struct fl_nearest *nearest, const char *name)
{
    struct fl_slice known = fl_slice_from(name);
    if (known.len > FL_NEAREST_BYTES || nearest->wanted.len > FL_NEAREST_BYTES)
        return;
    size_t distance = fl_nearest_distance(nearest->wanted, known);
    if (distance * 2 > known.len || distance >= nearest->best_distance)
        return;
    nearest->best = name;
    nearest->best_distance = distance;
}
