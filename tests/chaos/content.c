/* content.c - see content.h. */
#include "content.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nettle/md5.h>

enum {
    FEW_ROWS = 12,
    MANY_ROWS = 400,
    ONE_IN_MANY = 64,
    ONE_IN_INVALID = 48,
    STEP_MS = 10000,
    LENGTH_MS = 9500
};

const char *content_kind_name(enum content_kind kind)
{
    return kind == CONTENT_CHAPTERS ? "chapters" : "transcript";
}

uint64_t content_mix(uint64_t number)
{
    number += UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ (number >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ (number >> 27)) * UINT64_C(0x94d049bb133111eb);
    return number ^ (number >> 31);
}

bool content_is_invalid(uint64_t number, enum content_kind kind)
{
    return kind == CONTENT_CHAPTERS && content_mix(number) % ONE_IN_INVALID == 7;
}

int content_rows(uint64_t number, enum content_kind kind)
{
    uint64_t random = content_mix(number * 2 + (uint64_t)kind);
    return random % ONE_IN_MANY == 3 ? MANY_ROWS : 1 + (int)(random / ONE_IN_MANY % FEW_ROWS);
}

static void write_stamp(FILE *file, int ms)
{
    fprintf(file, "%02d:%02d:%02d,%03d", ms / 3600000, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

static void write_chapters(FILE *file, uint64_t number)
{
    int rows = content_rows(number, CONTENT_CHAPTERS);
    fputs("{\"version\":\"1.2.0\",\"chapters\":[", file);
    for (int i = 0; i < rows; i++)
        fprintf(file, "%s{\"startTime\":%d,\"endTime\":%d.5,\"title\":\"k%" PRIu64 " row %d\"}", i ? "," : "",
                i * STEP_MS / 1000, i * STEP_MS / 1000 + LENGTH_MS / 1000, number, i);
    fputs(content_is_invalid(number, CONTENT_CHAPTERS) ? "],]" : "]}", file);
}

static void write_transcript(FILE *file, uint64_t number)
{
    int rows = content_rows(number, CONTENT_TRANSCRIPT);
    for (int i = 0; i < rows; i++) {
        fprintf(file, "%d\n", i + 1);
        write_stamp(file, i * STEP_MS);
        fputs(" --> ", file);
        write_stamp(file, i * STEP_MS + LENGTH_MS);
        fprintf(file, "\nk%" PRIu64 " row %d\n\n", number, i);
    }
}

char *content_file(uint64_t number, enum content_kind kind)
{
    char *text = NULL;
    size_t size_bytes = 0;
    FILE *file = open_memstream(&text, &size_bytes);
    if (!file)
        abort();
    if (kind == CONTENT_CHAPTERS)
        write_chapters(file, number);
    else
        write_transcript(file, number);
    fclose(file);
    return text;
}

void content_digest(uint64_t number, enum content_kind kind, char digest[CONTENT_DIGEST_BYTES])
{
    struct md5_ctx md5;
    uint8_t bytes[MD5_DIGEST_SIZE];
    char line[96];
    int rows = content_rows(number, kind);
    md5_init(&md5);
    for (int i = 0; i < rows; i++) {
        int length = snprintf(line, sizeof line, "%s%d|%d|%d|k%" PRIu64 " row %d", i ? "\n" : "", i,
                              i * STEP_MS, i * STEP_MS + LENGTH_MS, number, i);
        md5_update(&md5, (size_t)length, (const uint8_t *)line);
    }
    md5_digest(&md5, sizeof bytes, bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(digest + 2 * i, 3, "%02x", bytes[i]);
}

uint64_t content_number(const char *source)
{
    for (const char *at = source; at && (at = strchr(at, 'k')) != NULL; at++)
        if ((at == source || at[-1] == '/') && strspn(at + 1, "0123456789") > 0)
            return strtoull(at + 1, NULL, 10);
    return 0;
}
