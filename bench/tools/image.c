/* Prepared requests. */
#include "image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "tally.h"

static void add_patch(struct image *image, struct patch patch)
{
    if (image->patch_count == image->patch_room) {
        image->patch_room = image->patch_room ? image->patch_room * 2 : 16;
        image->patches = must_have(realloc(image->patches, image->patch_room * sizeof patch));
    }
    image->patches[image->patch_count++] = patch;
    if (!patch.is_stamp && image->numbers < patch.offset + 1)
        image->numbers = patch.offset + 1;
}

static void add_place(struct image *image, bool is_stamp, unsigned offset)
{
    static const char blank[STAMP_DIGITS];
    add_patch(image, (struct patch){buffer_size(&image->bytes), is_stamp, offset});
    buffer_put(&image->bytes, blank, is_stamp ? STAMP_DIGITS : NUMBER_DIGITS);
}

static void add_list(struct image *image, const char *prefix, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (i)
            buffer_put(&image->bytes, ",", 1);
        buffer_put(&image->bytes, prefix, strlen(prefix));
        add_place(image, false, i);
    }
}

/* Length of the placeholder at the start of `text`, after adding it; 0 when there is none. */
static size_t add_placeholder(struct image *image, const char *text)
{
    char prefix[24];
    unsigned count;
    int length = 0;
    if (!strncmp(text, "{seq}", 5)) {
        add_place(image, false, 0);
        return 5;
    }
    if (!strncmp(text, "{ts}", 4)) {
        add_place(image, true, 0);
        return 4;
    }
    if (sscanf(text, "{list:%23[0-9+]:%7u}%n", prefix, &count, &length) == 2 && length && count) {
        add_list(image, prefix, count);
        return (size_t)length;
    }
    return 0;
}

void image_add(struct image *image, const char *template)
{
    if (!image->numbers)
        image->numbers = 1;
    while (*template) {
        size_t plain = strcspn(template, "{");
        buffer_put(&image->bytes, template, plain);
        template += plain;
        if (!*template)
            return;
        size_t length = add_placeholder(image, template);
        if (!length) {
            buffer_put(&image->bytes, template, 1);
            length = 1;
        }
        template += length;
    }
}

void image_join(struct image *image, const struct image *tail)
{
    size_t begin = buffer_size(&image->bytes);
    buffer_put(&image->bytes, tail->bytes.bytes, buffer_size(&tail->bytes));
    for (size_t i = 0; i < tail->patch_count; i++) {
        struct patch patch = tail->patches[i];
        patch.at += begin;
        add_patch(image, patch);
    }
}

static void write_number(uint8_t *digits, uint64_t number)
{
    for (int i = NUMBER_DIGITS - 1; i >= 0; i--, number /= 10)
        digits[i] = (uint8_t)('0' + number % 10);
}

uint8_t *image_copy(const struct image *image, struct buffer *out, uint64_t number, int64_t stamp)
{
    size_t length = buffer_size(&image->bytes);
    uint8_t *copy = buffer_reserve(out, length);
    memcpy(copy, image->bytes.bytes, length);
    for (size_t i = 0; i < image->patch_count; i++) {
        const struct patch *patch = &image->patches[i];
        if (patch->is_stamp)
            stamp_write(copy + patch->at, stamp);
        else
            write_number(copy + patch->at, number + patch->offset);
    }
    out->tail += length;
    return copy;
}
