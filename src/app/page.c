/* page.c - see page.h. src/app/page/ holds the three parts, which the build embeds.
 *
 * Happy path: style and program go to their marks in the HTML, their hashes into the policy. The only failure
 * is memory. */
#include "app/page.h"

#include <nettle/base64.h>
#include <nettle/sha2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

extern const char fl_page_html[], fl_page_css[], fl_page_js[];

enum { HASH_BYTES = BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1 };

static void hash(const char *text, char out[HASH_BYTES])
{
    struct sha256_ctx context;
    uint8_t digest[SHA256_DIGEST_SIZE];
    sha256_init(&context);
    sha256_update(&context, strlen(text), (const uint8_t *)text);
    sha256_digest(&context, sizeof digest, digest);
    base64_encode_raw(out, sizeof digest, digest);
    out[HASH_BYTES - 1] = '\0';
}

/* Writes html with text in place of a mark; returns what is behind it. */
static const char *put_part(FILE *out, const char *html, const char *mark, const char *text)
{
    const char *at = strstr(html, mark);
    FL_ASSERT(at);
    fwrite(html, 1, (size_t)(at - html), out);
    fputs(text, out);
    return at + strlen(mark);
}

void fl_page_build(char **html, char **policy)
{
    char style[HASH_BYTES], program[HASH_BYTES];
    size_t length = 0;
    *html = *policy = NULL;
    hash(fl_page_css, style);
    hash(fl_page_js, program);
    if (asprintf(policy,
                 "default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; connect-src 'self'; "
                 "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                 "require-trusted-types-for 'script'; trusted-types 'none'",
                 style, program) < 0)
        *policy = NULL;
    FILE *out = *policy ? open_memstream(html, &length) : NULL;
    if (!out)
        return;
    const char *rest = put_part(out, fl_page_html, "/*css*/", fl_page_css);
    fputs(put_part(out, rest, "/*js*/", fl_page_js), out);
    bool is_whole = !ferror(out);
    if (fclose(out) == 0 && is_whole)
        return;
    free(*html);
    *html = NULL;
}
