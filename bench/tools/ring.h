/* A growing first-in first-out queue of fixed-size items. */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
    uint8_t *items;
    size_t item_size, capacity, first, count;
};

/* Appends an item with undefined content and returns it; valid until the next push. */
void *ring_push(struct ring *r);
void *ring_at(struct ring *r, size_t index);
void ring_pop(struct ring *r);
void ring_free(struct ring *r);

#endif
