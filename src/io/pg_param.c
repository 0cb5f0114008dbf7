/* pg_param.c - see pg_param.h. Array layout: dimensions, has-nulls flag, element type, then per dimension its
 * length and lower bound, then each element with its length (-1 = null); all in network byte order. */
#include "io/pg_param.h"

#include "base/assert.h"

enum { ARRAY_HEADER_BYTES = 20, ARRAY_LENGTH_OFFSET = 12 };

void fl_pg_params_init(struct fl_pg_params *params)
{
    *params = (struct fl_pg_params){0};
}

void fl_pg_params_release(struct fl_pg_params *params)
{
    fl_buffer_release(&params->bytes);
}

void fl_pg_params_clear(struct fl_pg_params *params)
{
    fl_buffer_clear(&params->bytes);
    params->count = 0;
}

static void begin(struct fl_pg_params *params, bool is_null)
{
    FL_ASSERT(params->count < FL_PG_PARAMS);
    params->items[params->count].offset = params->bytes.size_bytes;
    params->items[params->count].is_null = is_null;
}

static void end(struct fl_pg_params *params)
{
    params->items[params->count].length = params->bytes.size_bytes - params->items[params->count].offset;
    params->count++;
}

void fl_pg_params_int8(struct fl_pg_params *params, int64_t value)
{
    begin(params, false);
    fl_buffer_append_u64(&params->bytes, (uint64_t)value);
    end(params);
}

void fl_pg_params_text(struct fl_pg_params *params, struct fl_slice text)
{
    begin(params, text.ptr == NULL);
    fl_buffer_append_slice(&params->bytes, text);
    end(params);
}

void fl_pg_params_bytea(struct fl_pg_params *params, const uint8_t *bytes, size_t length)
{
    fl_pg_params_text(params, (struct fl_slice){(const char *)bytes, length});
}

void fl_pg_params_begin_array(struct fl_pg_params *params, uint32_t element_oid)
{
    begin(params, false);
    params->array_count = 0;
    fl_buffer_append_u32(&params->bytes, 1);
    fl_buffer_append_u32(&params->bytes, 1);
    fl_buffer_append_u32(&params->bytes, element_oid);
    fl_buffer_append_u32(&params->bytes, 0);
    fl_buffer_append_u32(&params->bytes, 1);
}

void fl_pg_params_element_int8(struct fl_pg_params *params, int64_t value)
{
    fl_buffer_append_u32(&params->bytes, 8);
    fl_buffer_append_u64(&params->bytes, (uint64_t)value);
    params->array_count++;
}

void fl_pg_params_element_text(struct fl_pg_params *params, struct fl_slice text)
{
    if (!text.ptr) {
        fl_pg_params_element_null(params);
        return;
    }
    fl_buffer_append_u32(&params->bytes, (uint32_t)text.len);
    fl_buffer_append_slice(&params->bytes, text);
    params->array_count++;
}

void fl_pg_params_element_bool(struct fl_pg_params *params, bool value)
{
    fl_buffer_append_u32(&params->bytes, 1);
    fl_buffer_append(&params->bytes, value ? "\1" : "\0", 1);
    params->array_count++;
}

void fl_pg_params_element_null(struct fl_pg_params *params)
{
    fl_buffer_append_u32(&params->bytes, UINT32_MAX);
    params->array_count++;
}

void fl_pg_params_end_array(struct fl_pg_params *params)
{
    size_t offset = params->items[params->count].offset;
    fl_buffer_set_u32(&params->bytes, offset + ARRAY_LENGTH_OFFSET, (uint32_t)params->array_count);
    if (params->array_count == 0 && !params->bytes.failed) { /* an empty array has no dimensions */
        fl_buffer_set_u32(&params->bytes, offset, 0);
        params->bytes.size_bytes -= ARRAY_HEADER_BYTES - ARRAY_LENGTH_OFFSET;
    }
    end(params);
}

bool fl_pg_params_bind(const struct fl_pg_params *params, struct fl_pg_param out[FL_PG_PARAMS])
{
    for (int i = 0; i < params->count; i++) {
        bool is_null = params->items[i].is_null;
        /* An empty text has no byte of its own, but must not look like null. */
        const char *bytes = params->items[i].length ? params->bytes.bytes + params->items[i].offset : "";
        out[i] = (struct fl_pg_param){
            .bytes = is_null ? NULL : bytes, .length = (int)params->items[i].length, .format = 1};
    }
    return !params->bytes.failed;
}
