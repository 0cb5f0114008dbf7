/* pg_doctor_look.h - what the two files of pg_doctor.h share. */
#ifndef FL_IO_PG_DOCTOR_LOOK_H
#define FL_IO_PG_DOCTOR_LOOK_H

#include "io/pg_doctor.h"
#include "io/pg_sync.h"

struct fl_pg_look {
    struct fl_pg_sync *pg;
    const char *dsn;
    int64_t timeout_ms, grace_ms;
    struct fl_arena *arena;
    struct fl_pg_facts *facts;
};

/* Runs a statement without parameters; *rows is the caller's to free. */
FL_CHECKED fl_status fl_pg_look_ask(struct fl_pg_look *look, const char *sql, struct fl_pg_rows **rows,
                                    struct fl_err *err);

/* A value that outlives the rows; null stays absent. */
struct fl_slice fl_pg_look_keep(struct fl_pg_look *look, const struct fl_pg_rows *rows, size_t row,
                                int column);

/* The parts that ask for our own schema (pg_doctor_queue.c): its version; its tables; the queue. The last two
 * are for a database that has it. */
FL_CHECKED fl_status fl_pg_look_at_schema(struct fl_pg_look *look, struct fl_err *err);
FL_CHECKED fl_status fl_pg_look_at_tables(struct fl_pg_look *look, struct fl_err *err);
FL_CHECKED fl_status fl_pg_look_at_queue(struct fl_pg_look *look, struct fl_err *err);

#endif
