/* pg_param.h - builds the parameters of one statement in Postgres' binary format, in one reused buffer. */
#ifndef FL_IO_PG_PARAM_H
#define FL_IO_PG_PARAM_H

#include "base/buffer.h"
#include "io/pg.h"

/* Type OIDs (pg_type.dat); fixed for ever. */
enum {
    FL_OID_BOOL = 16,
    FL_OID_BYTEA = 17,
    FL_OID_INT8 = 20,
    FL_OID_INT4 = 23,
    FL_OID_TEXT = 25,
    FL_OID_BOOL_ARRAY = 1000,
    FL_OID_TEXT_ARRAY = 1009,
    FL_OID_UUID = 2950,
    FL_OID_INT8_ARRAY = 1016,
};

struct fl_pg_params {
    struct fl_buffer bytes;
    struct {
        size_t offset, length;
        bool is_null;
    } items[FL_PG_PARAMS];
    int count;
    size_t array_count; /* elements of the array being built */
};

void fl_pg_params_init(struct fl_pg_params *params);
void fl_pg_params_release(struct fl_pg_params *params);
/* No parameters; keeps its memory. */
void fl_pg_params_clear(struct fl_pg_params *params);

void fl_pg_params_int8(struct fl_pg_params *params, int64_t value);
void fl_pg_params_text(struct fl_pg_params *params, struct fl_slice text); /* absent = null */
void fl_pg_params_bytea(struct fl_pg_params *params, const uint8_t *bytes, size_t length);

/* Arrays: begin, one call per element, end. element_oid is the OID of the element's type. */
void fl_pg_params_begin_array(struct fl_pg_params *params, uint32_t element_oid);
void fl_pg_params_element_int8(struct fl_pg_params *params, int64_t value);
void fl_pg_params_element_text(struct fl_pg_params *params, struct fl_slice text); /* absent = null */
void fl_pg_params_element_bool(struct fl_pg_params *params, bool value);
void fl_pg_params_element_null(struct fl_pg_params *params);
void fl_pg_params_end_array(struct fl_pg_params *params);

/* The finished parameters for fl_pg_add; they point into *params. False if memory ran out meanwhile. */
FL_CHECKED bool fl_pg_params_bind(const struct fl_pg_params *params, struct fl_pg_param out[FL_PG_PARAMS]);

#endif
