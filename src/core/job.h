/* job.h - what a job is asked to do, in words: modes, outcomes, episode ids, names of files. */
#ifndef FL_CORE_JOB_H
#define FL_CORE_JOB_H

#include "fenceline/document.h"
#include "fenceline/import.h"

/* 1 to 255 bytes of valid UTF-8 without control characters (product, "Limits"); else FL_INVALID. */
FL_CHECKED fl_status fl_episode_check(struct fl_slice episode, struct fl_err *err);

/* Reads episode, kind and format from a file's path (product, "Commands"): <episode>.chapters.json,
 * <episode>.srt|.vtt|.transcript.json|.transcript.txt, or chapters/<episode>.json,
 * transcript/<episode>.<json|srt|vtt|txt>. What the name does not tell stays absent / _NONE. episode points
 * into path. */
void fl_job_from_path(struct fl_slice path, struct fl_slice *episode, enum fl_kind *kind,
                      enum fl_format *format);

#endif
