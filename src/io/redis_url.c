/* redis_url.c - see redis_url.h. A login stands before the last '@', and its password behind the first ':'.
 *
 * Failure modes: FL_USAGE, with nothing of the URL or the password in the message. */
#include "io/redis_url.h"

#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "io/redis.h"
#include "io/uri.h"

/* The parts around a password: "redis://user" and "host:port/db". */
struct parts {
    struct fl_slice scheme, user, rest;
    bool has_password;
};

static struct parts split(const char *url)
{
    struct fl_slice text = fl_slice_from(url);
    const char *colon = strstr(url, "://"), *start = colon ? colon + 3 : url, *end = url + text.len;
    const char *at = memrchr(start, '@', (size_t)(end - start));
    struct parts parts = {.scheme = fl_slice_range(url, start),
                          .rest = fl_slice_range(at ? at + 1 : start, end)};
    if (!at)
        return parts;
    const char *separator = memchr(start, ':', (size_t)(at - start));
    parts.user = fl_slice_range(start, separator ? separator : at);
    parts.has_password = separator && separator + 1 < at;
    return parts;
}

fl_status fl_redis_url_with_password(const char *url, const char *password, char *out, size_t size_bytes,
                                     struct fl_err *err)
{
    struct fl_redis_address address;
    fl_status status = fl_redis_parse_url(url, &address, err);
    if (status != FL_OK)
        return status;
    struct parts parts = split(url);
    if (parts.has_password)
        return fl_err_set(err, FL_USAGE, "redis.url holds a password, too: give one of them");
    char escaped[FL_URI_ESCAPED_BYTES];
    int length = -1;
    if (fl_uri_escape(password, escaped))
        length = snprintf(out, size_bytes, "%.*s%.*s:%s@%.*s", FL_ARGS(parts.scheme), FL_ARGS(parts.user),
                          escaped, FL_ARGS(parts.rest));
    if (length < 0 || (size_t)length >= size_bytes)
        return fl_err_set(err, FL_USAGE, "redis.url and its password are too long");
    return FL_OK;
}

const char *fl_redis_url_mask(const char *url, char *out, size_t size_bytes)
{
    struct fl_redis_address address;
    struct parts parts = split(url);
    bool may_be_secret = strpbrk(url, "@?") != NULL;
    if (may_be_secret && fl_redis_parse_url(url, &address, NULL) != FL_OK)
        snprintf(out, size_bytes, "***");
    else if (parts.has_password)
        snprintf(out, size_bytes, "%.*s%.*s:***@%.*s", FL_ARGS(parts.scheme), FL_ARGS(parts.user),
                 FL_ARGS(parts.rest));
    else
        snprintf(out, size_bytes, "%s", url);
    return out;
}
