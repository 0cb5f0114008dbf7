/* document_table.c - the columns of chapters and transcripts, once for files (check) and for the database
 * (show). */
#include "cli/document_table.h"

static const struct fl_column CHAPTER_COLUMNS[] = {
    {"#", "order_index", FL_COLUMN_RIGHT},
    {"start", "start_ms", FL_COLUMN_RIGHT},
    {"end", "end_ms", FL_COLUMN_RIGHT},
    {"title", "title", 0},
    {"url", "url", 0},
    {NULL, "img", 0},
    {"toc", "toc", FL_COLUMN_WHOLE},
    {NULL, "location", 0},
};

static const struct fl_column SEGMENT_COLUMNS[] = {
    {"#", "order_index", FL_COLUMN_RIGHT},
    {"start", "start_ms", FL_COLUMN_RIGHT},
    {"end", "end_ms", FL_COLUMN_RIGHT},
    {"speaker", "speaker", 0},
    {"text", "body", 0},
};

const struct fl_column *fl_document_columns(enum fl_kind kind, size_t *count)
{
    bool chapters = kind == FL_CHAPTERS;
    *count = chapters ? sizeof CHAPTER_COLUMNS / sizeof *CHAPTER_COLUMNS
                      : sizeof SEGMENT_COLUMNS / sizeof *SEGMENT_COLUMNS;
    return chapters ? CHAPTER_COLUMNS : SEGMENT_COLUMNS;
}

static struct fl_cell number_cell(int64_t number)
{
    return (struct fl_cell){.type = FL_CELL_NUMBER, .number = number};
}

static struct fl_cell time_cell(int64_t time_ms)
{
    return (struct fl_cell){.type = FL_CELL_TIME, .number = time_ms};
}

static struct fl_cell text_cell(struct fl_slice text)
{
    return (struct fl_cell){.type = FL_CELL_TEXT, .text = text};
}

static void get_chapter(const void *rows, size_t row, struct fl_cell *cells)
{
    const struct fl_chapter *chapter = &((const struct fl_document *)rows)->chapters[row];
    *cells++ = number_cell((int64_t)row);
    *cells++ = time_cell(chapter->start_ms);
    *cells++ = time_cell(chapter->end_ms);
    *cells++ = text_cell(chapter->title);
    *cells++ = text_cell(chapter->url);
    *cells++ = text_cell(chapter->img);
    *cells++ = (struct fl_cell){.type = FL_CELL_BOOL, .boolean = chapter->toc};
    *cells++ = (struct fl_cell){.type = FL_CELL_JSON, .text = chapter->location};
}

static void get_segment(const void *rows, size_t row, struct fl_cell *cells)
{
    const struct fl_segment *segment = &((const struct fl_document *)rows)->segments[row];
    *cells++ = number_cell((int64_t)row);
    *cells++ = time_cell(segment->start_ms);
    *cells++ = time_cell(segment->end_ms);
    *cells++ = text_cell(segment->speaker);
    *cells++ = text_cell(segment->body);
}

struct fl_table fl_document_table(const struct fl_document *doc)
{
    struct fl_table table = {.row_count = doc->row_count,
                             .get = doc->kind == FL_CHAPTERS ? get_chapter : get_segment,
                             .rows = doc};
    table.columns = fl_document_columns(doc->kind, &table.column_count);
    return table;
}
