/* The byte queue behind every socket. */
#include "buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must_have(void *memory)
{
    if (!memory) {
        fputs("out of memory\n", stderr);
        exit(70);
    }
    return memory;
}

uint8_t *buffer_reserve(struct buffer *b, size_t wanted)
{
    if (b->capacity - b->tail >= wanted)
        return b->bytes + b->tail;
    size_t held = buffer_size(b);
    /* Moving is cheap only while little is held; otherwise a full buffer would be moved at every read. */
    if (b->capacity - held >= wanted && held <= b->capacity / 2) {
        memmove(b->bytes, b->bytes + b->head, held);
    } else {
        size_t capacity = b->capacity ? b->capacity : 4096;
        while (capacity - held < wanted)
            capacity *= 2;
        uint8_t *bytes = must_have(malloc(capacity));
        if (held)
            memcpy(bytes, b->bytes + b->head, held);
        free(b->bytes);
        b->bytes = bytes;
        b->capacity = capacity;
    }
    b->head = 0;
    b->tail = held;
    return b->bytes + held;
}

void buffer_put(struct buffer *b, const void *bytes, size_t length)
{
    memcpy(buffer_reserve(b, length), bytes, length);
    b->tail += length;
}

void buffer_take(struct buffer *b, size_t length)
{
    b->head += length;
    if (b->head == b->tail)
        b->head = b->tail = 0;
}

void buffer_print(struct buffer *b, const char *format, ...)
{
    va_list first, second;
    va_start(first, format);
    va_copy(second, first);
    int length = vsnprintf(NULL, 0, format, first);
    va_end(first);
    if (length > 0) {
        vsnprintf((char *)buffer_reserve(b, (size_t)length + 1), (size_t)length + 1, format, second);
        b->tail += (size_t)length;
    }
    va_end(second);
}

void buffer_free(struct buffer *b)
{
    free(b->bytes);
    *b = (struct buffer){0};
}
