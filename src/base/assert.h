/* assert.h - checks of our own reasoning, always on (house, "Errors": bugs). */
#ifndef FL_BASE_ASSERT_H
#define FL_BASE_ASSERT_H

#include <stdio.h>
#include <stdlib.h>

#define FL_ASSERT(condition)                                                                                 \
    ((condition) ? (void)0                                                                                   \
                 : (fprintf(stderr, "fenceline: bug: %s:%d: %s: please report it\n", __FILE__, __LINE__,     \
                            #condition),                                                                     \
                    abort()))

#endif
