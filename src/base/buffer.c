/* buffer.c - see buffer.h. */
#include "base/buffer.h"

#include <stdlib.h>
#include <string.h>

void fl_buffer_init(struct fl_buffer *buffer)
{
    *buffer = (struct fl_buffer){0};
}

void fl_buffer_release(struct fl_buffer *buffer)
{
    free(buffer->bytes);
    fl_buffer_init(buffer);
}

void fl_buffer_clear(struct fl_buffer *buffer)
{
    buffer->size_bytes = 0;
    buffer->failed = false;
}

static bool reserve(struct fl_buffer *buffer, size_t more_bytes)
{
    size_t needed = buffer->size_bytes + more_bytes;
    if (buffer->failed || needed <= buffer->capacity_bytes)
        return !buffer->failed;
    size_t wanted = buffer->capacity_bytes ? buffer->capacity_bytes * 2 : 1024;
    while (wanted < needed)
        wanted *= 2;
    char *moved = realloc(buffer->bytes, wanted);
    if (!moved) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = moved;
    buffer->capacity_bytes = wanted;
    return true;
}

void fl_buffer_append(struct fl_buffer *buffer, const void *bytes, size_t size_bytes)
{
    if (size_bytes == 0 || !reserve(buffer, size_bytes))
        return;
    memcpy(buffer->bytes + buffer->size_bytes, bytes, size_bytes);
    buffer->size_bytes += size_bytes;
}

void fl_buffer_append_slice(struct fl_buffer *buffer, struct fl_slice text)
{
    fl_buffer_append(buffer, text.ptr, text.len);
}

static void put_u32(char *at, uint32_t value)
{
    at[0] = (char)(value >> 24);
    at[1] = (char)(value >> 16);
    at[2] = (char)(value >> 8);
    at[3] = (char)value;
}

void fl_buffer_append_u32(struct fl_buffer *buffer, uint32_t value)
{
    char bytes[4];
    put_u32(bytes, value);
    fl_buffer_append(buffer, bytes, sizeof bytes);
}

void fl_buffer_append_u64(struct fl_buffer *buffer, uint64_t value)
{
    fl_buffer_append_u32(buffer, (uint32_t)(value >> 32));
    fl_buffer_append_u32(buffer, (uint32_t)value);
}

void fl_buffer_set_u32(struct fl_buffer *buffer, size_t offset, uint32_t value)
{
    if (!buffer->failed)
        put_u32(buffer->bytes + offset, value);
}
