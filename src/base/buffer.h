/* buffer.h - bytes that grow and are used again and again, so that steady work allocates nothing. */
#ifndef FL_BASE_BUFFER_H
#define FL_BASE_BUFFER_H

#include "fenceline/types.h"

struct fl_buffer {
    char *bytes;
    size_t size_bytes, capacity_bytes;
    bool failed; /* an append found no memory; the content is not to be used */
};

void fl_buffer_init(struct fl_buffer *buffer);
void fl_buffer_release(struct fl_buffer *buffer);
/* Empty again; keeps its memory. */
void fl_buffer_clear(struct fl_buffer *buffer);
/* Appends a copy. Without memory sets `failed`. */
void fl_buffer_append(struct fl_buffer *buffer, const void *bytes, size_t size_bytes);
void fl_buffer_append_slice(struct fl_buffer *buffer, struct fl_slice text);
/* Network byte order. */
void fl_buffer_append_u32(struct fl_buffer *buffer, uint32_t value);
void fl_buffer_append_u64(struct fl_buffer *buffer, uint64_t value);
/* Overwrites four bytes written before. */
void fl_buffer_set_u32(struct fl_buffer *buffer, size_t offset, uint32_t value);

#endif
