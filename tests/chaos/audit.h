/* audit.h - what the checker reads of a run: triggers that write down every change that counts, in the order
 * in which Postgres committed it. And errors that Postgres makes on demand. */
#ifndef TESTS_CHAOS_AUDIT_H
#define TESTS_CHAOS_AUDIT_H

/* SQL that makes the schema chaos in a migrated database. chaos.audit holds the changes, chaos.commits
 * numbers the transactions (a deferred trigger numbers them under one lock that is kept until the commit is
 * visible). */
extern const char CHAOS_AUDIT_SQL[];

#endif
