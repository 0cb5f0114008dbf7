/* page.c - a man page in mdoc from a template and the tables.
 *
 * Happy path: lines go through; one that begins with '@' is a word and its argument, and what it stands for
 * comes in its place. Failure modes: a word or a command that there is not, a conf file that is not as its
 * test wants it: told on stderr with the line. */
#include <string.h>

#include "manual.h"

enum { LINE_BYTES = 512, TEXT_COLUMNS = 70 };

#ifndef MANUAL_DATE
#define MANUAL_DATE "$Mdocdate$"
#endif

struct page {
    FILE *out;
    const char *conf;
};

/* Text that mandoc shall show as it is. */
static void print_text(FILE *out, const char *text, size_t length)
{
    if (length && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else
            putc(text[i], out);
    }
}

static void print_string(FILE *out, const char *text)
{
    print_text(out, text, strlen(text));
}

static bool ends_sentence(const char *word, size_t length)
{
    if (length > 1 && word[length - 1] == ')')
        length--;
    return length > 0 && strchr(".?!", word[length - 1]);
}

/* Prose in lines of their own, as mandoc likes it: short ones, and a new one for each sentence. An empty line
 * is a new paragraph. */
static void print_prose(FILE *out, const char *text)
{
    size_t column = 0;
    while (*text) {
        size_t blanks = strspn(text, " \n");
        bool is_paragraph = column && memmem(text, blanks, "\n\n", 2) && text[blanks];
        text += blanks;
        size_t length = strcspn(text, " \n");
        if (length == 0)
            break;
        if (column && (is_paragraph || column + 1 + length > TEXT_COLUMNS)) {
            putc('\n', out);
            column = 0;
        }
        if (is_paragraph)
            fputs(".Pp\n", out);
        if (column)
            putc(' ', out);
        print_text(out, text, length);
        column += length + (column > 0);
        if (ends_sentence(text, length)) {
            putc('\n', out);
            column = 0;
        }
        text += length;
    }
    if (column)
        putc('\n', out);
}

/* A text whose end may lack its full stop, and whose first letter is to be a capital one or stays. */
static void print_sentence(FILE *out, const char *text, bool is_capital)
{
    char sentence[LINE_BYTES];
    snprintf(sentence, sizeof sentence, "%s%s", text, strchr(".:?", text[strlen(text) - 1]) ? "" : ".");
    if (is_capital && sentence[0] >= 'a' && sentence[0] <= 'z')
        sentence[0] = (char)(sentence[0] - 'a' + 'A');
    print_prose(out, sentence);
}

/* "EPISODE [KIND]" as macros. */
static void print_positional(FILE *out, const char *positional)
{
    char words[64], *rest = words;
    snprintf(words, sizeof words, "%s", positional);
    for (char *word; (word = strsep(&rest, " "));) {
        bool is_optional = word[0] == '[';
        char *name = word + is_optional, *dots = strstr(name, "...");
        name[strcspn(name, "].")] = '\0';
        if (name[0])
            fprintf(out, ".%sAr %s%s\n", is_optional ? "Op " : "", name, dots ? " ..." : "");
    }
}

static void print_flag(FILE *out, const struct fl_option *option)
{
    if (option->letter)
        fprintf(out, "Fl %c , ", option->letter);
    fputs("Fl \\-", out);
    print_string(out, option->name);
    if (option->value)
        fprintf(out, " Ar %s", option->value);
}

/* ---- what may stand in a template ---- */

static bool find_command(const char *words, enum fl_command *command)
{
    for (int i = 0; i < FL_COMMAND_NONE; i++)
        if (strcmp(fl_command_name((enum fl_command)i), words) == 0) {
            *command = (enum fl_command)i;
            return true;
        }
    return false;
}

static bool put_top(struct page *page, const char *title)
{
    fprintf(page->out, ".Dd " MANUAL_DATE "\n.Dt %s\n.Os\n", title);
    return true;
}

/* Title, name and synopsis of the page for one first word: "jobs", "import". argument: the word, and for a
 * group what it is for. */
static bool put_head(struct page *page, const char *argument)
{
    char word[32], first[32];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(argument, " "), argument);
    const char *about = argument[strlen(word)] ? argument + strlen(word) + 1 : NULL;
    enum fl_command command = FL_COMMAND_NONE;
    if (!about && !find_command(word, &command))
        return false;
    fprintf(page->out, ".Dd " MANUAL_DATE "\n.Dt FENCELINE-");
    for (const char *c = word; *c; c++)
        putc(*c - 'a' + 'A', page->out);
    fprintf(page->out, " 1\n.Os\n.Sh NAME\n.Nm fenceline-%s\n.Nd ", word);
    print_string(page->out, about ? about : fl_command_infos[command].summary);
    fputs("\n.Sh SYNOPSIS\n", page->out);
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        const struct fl_command_info *info = &fl_command_infos[i];
        manual_first_word((enum fl_command)i, first);
        if (strcmp(first, word) != 0)
            continue;
        fprintf(page->out, ".Nm fenceline\n.Cm %s\n", fl_command_name((enum fl_command)i));
        for (size_t o = 0; o < info->option_count; o++) {
            fputs(".Op Fl \\-", page->out);
            print_string(page->out, info->options[o].name);
            fprintf(page->out, "%s%s\n", info->options[o].value ? " Ar " : "",
                    info->options[o].value ? info->options[o].value : "");
        }
        print_positional(page->out, info->positional);
    }
    return true;
}

static bool put_about(struct page *page, const char *words)
{
    enum fl_command command;
    if (!find_command(words, &command))
        return false;
    print_sentence(page->out, fl_command_infos[command].summary, true);
    print_prose(page->out, fl_command_infos[command].details);
    return true;
}

static void print_option_list(FILE *out, const struct fl_option *options, size_t count)
{
    if (count == 0)
        return;
    fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < count; i++) {
        fputs(".It ", out);
        print_flag(out, &options[i]);
        putc('\n', out);
        print_sentence(out, options[i].help, false);
    }
    fputs(".El\n", out);
}

static bool put_options(struct page *page, const char *words)
{
    enum fl_command command;
    if (!find_command(words, &command))
        return false;
    print_option_list(page->out, fl_command_infos[command].options, fl_command_infos[command].option_count);
    return true;
}

static bool put_common(struct page *page, const char *nothing)
{
    print_option_list(page->out, fl_common_options, fl_common_option_count);
    return !nothing[0];
}

/* All commands, each with the page that tells more. */
static bool put_commands(struct page *page, const char *nothing)
{
    char word[32];
    fputs(".Bl -tag -width Ds\n", page->out);
    for (int i = 0; i < FL_COMMAND_NONE; i++) {
        manual_first_word((enum fl_command)i, word);
        fprintf(page->out, ".It Cm %s\n", fl_command_name((enum fl_command)i));
        print_sentence(page->out, fl_command_infos[i].summary, true);
        fprintf(page->out, "See\n.Xr fenceline-%s 1 .\n", word);
    }
    fputs(".El\n", page->out);
    return !nothing[0];
}

/* ---- the settings ---- */

/* "# (ms, 100 to 600000, default 5000)" as a sentence of its own. */
static void print_range(FILE *out, const char *line)
{
    size_t length = strcspn(line + 3, ")");
    fputs(".Pq ", out);
    print_text(out, line + 3, length);
    putc('\n', out);
}

/* A block of the file: comment lines, the range, and the key; prose waits until the key is known. */
struct block {
    char prose[4096], range[LINE_BYTES];
};

static void print_block(FILE *out, const struct block *block, const char *key)
{
    fputs(".It Ic ", out);
    print_text(out, key, strcspn(key, " ="));
    fputs("\n", out);
    print_prose(out, block->prose);
    print_range(out, block->range);
}

static void end_section(FILE *out, const char *section)
{
    if (section[0])
        fputs(".El\n", out);
}

static void read_conf_line(FILE *out, const char *line, struct block *block, char section[LINE_BYTES])
{
    size_t used = strlen(block->prose);
    if (line[0] == '[') {
        end_section(out, section);
        snprintf(section, LINE_BYTES, "%.*s", (int)strcspn(line + 1, "]"), line + 1);
        fprintf(out, ".Ss Section %s\n.Bl -tag -width Ds\n", section);
    } else if (strncmp(line, "# (", 3) == 0 && strstr(line, "default ")) {
        snprintf(block->range, LINE_BYTES, "%s", line);
    } else if (strncmp(line, "# ", 2) == 0 && section[0]) {
        snprintf(block->prose + used, sizeof block->prose - used, "%s\n", line + 2);
    } else if (line[0] == '#' && line[1] != '\0' && section[0]) {
        print_block(out, block, line + 1);
        *block = (struct block){.prose = ""};
    }
}

static bool put_settings(struct page *page, const char *nothing)
{
    static struct block block;
    char line[LINE_BYTES], section[LINE_BYTES] = "";
    FILE *conf = fopen(page->conf, "r");
    if (!conf) {
        perror(page->conf);
        return false;
    }
    while (fgets(line, sizeof line, conf)) {
        line[strcspn(line, "\n")] = '\0';
        read_conf_line(page->out, line, &block, section);
    }
    end_section(page->out, section);
    fclose(conf);
    return section[0] && !nothing[0];
}

static const struct {
    const char *word;
    bool (*put)(struct page *page, const char *argument);
} WORDS[] = {
    {"top", put_top},       {"head", put_head},         {"about", put_about},       {"options", put_options},
    {"common", put_common}, {"commands", put_commands}, {"settings", put_settings},
};

/* "@options jobs list" */
static bool put(struct page *page, const char *line)
{
    size_t length = strcspn(line, " ");
    const char *argument = line[length] ? line + length + 1 : "";
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strlen(WORDS[i].word) == length && strncmp(WORDS[i].word, line, length) == 0)
            return WORDS[i].put(page, argument);
    return false;
}

bool manual_page(FILE *template, FILE *out, const char *conf)
{
    struct page page = {.out = out, .conf = conf};
    char line[LINE_BYTES];
    for (int number = 1; fgets(line, sizeof line, template); number++) {
        if (line[0] != '@') {
            fputs(line, out);
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        if (put(&page, line + 1))
            continue;
        fprintf(stderr, "line %d: nothing is known of '%s'\n", number, line);
        return false;
    }
    return true;
}
