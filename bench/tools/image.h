/* A request prepared once as bytes, with the places that differ from one request to the next: copying it and filling
 * in those places is all that is left to do per request.
 *
 * Placeholders: {seq} eight digits of the running number; {ts} sixteen hex digits of the send time;
 * {list:PREFIX:N} N phone numbers PREFIX + eight digits with commas between, which uses up N running numbers. */
#ifndef BENCH_IMAGE_H
#define BENCH_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

struct patch {
    size_t at;
    bool is_stamp;
    unsigned offset; /* of the number among those that one copy uses */
};

struct image {
    struct buffer bytes;
    struct patch *patches;
    size_t patch_count, patch_room;
    unsigned numbers; /* running numbers that one copy uses up, at least 1 */
};

/* Appends a template; braces that are no placeholder stay as they are. */
void image_add(struct image *image, const char *template);

/* Appends another image. */
void image_join(struct image *image, const struct image *tail);

/* Appends one filled-in copy to a buffer and returns it. */
uint8_t *image_copy(const struct image *image, struct buffer *out, uint64_t number, int64_t stamp);

#endif
