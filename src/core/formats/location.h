/* location.h - the location of a chapter from the database's spelling to that of the parser. */
#ifndef FL_CORE_FORMATS_LOCATION_H
#define FL_CORE_FORMATS_LOCATION_H

#include "fenceline/types.h"

struct fl_arena;

/* The JSON of a location, as Postgres prints a jsonb, as compact JSON in the arena; *location is absent (and
 * stays so) if it is null. jsonb has every number written out ("1e400" has 401 digits by then), and such a
 * text may be longer than a text field may be: long numbers get their exponent back. What is no JSON that our
 * parser takes is left as it is. False without memory. */
bool fl_location_compact(struct fl_arena *arena, struct fl_slice *location);

#endif
