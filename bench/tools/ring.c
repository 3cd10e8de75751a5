/* Queues of answers and receipts that wait for their time. */
#include "ring.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"

static void ring_grow(struct ring *r)
{
    size_t capacity = r->capacity ? r->capacity * 2 : 256;
    uint8_t *items = must_have(malloc(capacity * r->item_size));
    size_t until_end = r->capacity - r->first;
    size_t straight = r->count < until_end ? r->count : until_end;
    if (r->count) {
        memcpy(items, r->items + r->first * r->item_size, straight * r->item_size);
        memcpy(items + straight * r->item_size, r->items, (r->count - straight) * r->item_size);
    }
    free(r->items);
    r->items = items;
    r->capacity = capacity;
    r->first = 0;
}

void *ring_at(struct ring *r, size_t index)
{
    /* The capacity is a power of two. */
    return r->items + ((r->first + index) & (r->capacity - 1)) * r->item_size;
}

void *ring_push(struct ring *r)
{
    if (r->count == r->capacity)
        ring_grow(r);
    return ring_at(r, r->count++);
}

void ring_pop(struct ring *r)
{
    r->first = (r->first + 1) & (r->capacity - 1);
    r->count--;
}

void ring_free(struct ring *r)
{
    free(r->items);
    r->items = NULL;
    r->capacity = r->first = r->count = 0;
}
