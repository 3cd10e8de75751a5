/* A growing byte queue: written at the tail, consumed at the head. */
#ifndef BENCH_BUFFER_H
#define BENCH_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *bytes;
    size_t head, tail, capacity;
};

/* Every allocation of the tools goes through this: there is nothing to do without memory but to say so. */
void *must_have(void *memory);

/* Makes room for `wanted` bytes at the tail and returns the tail. */
uint8_t *buffer_reserve(struct buffer *b, size_t wanted);
void buffer_put(struct buffer *b, const void *bytes, size_t length);
void buffer_take(struct buffer *b, size_t length);
void buffer_print(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_free(struct buffer *b);

static inline size_t buffer_size(const struct buffer *b)
{
    return b->tail - b->head;
}

static inline uint8_t *buffer_head(struct buffer *b)
{
    return b->bytes + b->head;
}

#endif
