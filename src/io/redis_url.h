/* redis_url.h - a Redis URL and its password: puts one in, and hides it. The URL itself is read by redis.h.
 */
#ifndef FL_IO_REDIS_URL_H
#define FL_IO_REDIS_URL_H

#include <stddef.h>

#include "fenceline/err.h"

/* The URL with this password in it. FL_USAGE: the URL is wrong, has a password already, or is too long then;
 * neither is quoted. */
FL_CHECKED fl_status fl_redis_url_with_password(const char *url, const char *password, char *out,
                                                size_t size_bytes, struct fl_err *err);

/* The URL for people, with *** in place of its password; of one that cannot be read nothing is shown that
 * might be a secret. Cut off at size_bytes. Returns out. */
const char *fl_redis_url_mask(const char *url, char *out, size_t size_bytes);

#endif
