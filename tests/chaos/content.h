/* content.h - what stands in an input file of a chaos run: all of it follows from the file's number, so that
 * the checker can tell from the number in jobs.source which rows a document must have.
 *
 * The number stands in the path as a folder or the first part of a name: "k17/ep3.srt", "k17/body". */
#ifndef TESTS_CHAOS_CONTENT_H
#define TESTS_CHAOS_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

enum content_kind { CONTENT_CHAPTERS, CONTENT_TRANSCRIPT, CONTENT_KINDS };
enum { CONTENT_DIGEST_BYTES = 33 };

/* "chapters", "transcript" */
const char *content_kind_name(enum content_kind kind);

/* A scrambled number, the same for the same number. */
uint64_t content_mix(uint64_t number);

/* Is it a file that no importer accepts? */
bool content_is_invalid(uint64_t number, enum content_kind kind);

/* Rows of the document, at least 1. */
int content_rows(uint64_t number, enum content_kind kind);

/* The whole file (JSON chapters or SubRip), malloc'ed. */
char *content_file(uint64_t number, enum content_kind kind);

/* MD5, in hex, of the document's rows as chaos.rows_digest (audit.c) makes it of what is stored. */
void content_digest(uint64_t number, enum content_kind kind, char digest[CONTENT_DIGEST_BYTES]);

/* The number in a source; 0 = there is none. */
uint64_t content_number(const char *source);

#endif
