/* Counting of message numbers: distinct, repeated, and so lost ones. */
#include "tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

void tally_open(struct tally *t)
{
    *t = (struct tally){0};
    t->seen = mmap(NULL, NUMBER_LIMIT, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->seen == MAP_FAILED) {
        perror("mmap");
        exit(70);
    }
}

void tally_reset(struct tally *t)
{
    uint8_t *seen = t->seen;
    madvise(seen, NUMBER_LIMIT, MADV_DONTNEED); /* an anonymous mapping reads as zeros again */
    *t = (struct tally){.seen = seen};
}

void tally_add(struct tally *t, int64_t number, int64_t now)
{
    if (!t->total++)
        t->first_ns = now;
    t->last_ns = now;
    if (number < 0) {
        t->strange++;
        return;
    }
    uint8_t *seen = &t->seen[number];
    if (*seen)
        t->repeats++;
    else
        t->distinct++;
    if (*seen < UINT8_MAX)
        ++*seen;
}

double tally_rate(const struct tally *t)
{
    if (t->total < 2 || t->last_ns <= t->first_ns)
        return 0;
    return (double)(t->total - 1) * 1e9 / (double)(t->last_ns - t->first_ns);
}

bool tally_write(const struct tally *t, const char *path, uint64_t count)
{
    if (count > NUMBER_LIMIT)
        return false;
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    bool whole = fwrite(t->seen, 1, count, file) == count;
    return fclose(file) == 0 && whole;
}

int64_t number_of(const uint8_t *address, size_t length)
{
    int64_t number = 0, place = 1;
    for (size_t i = length; i > 0 && place < NUMBER_LIMIT; i--) {
        unsigned digit = (unsigned)address[i - 1] - '0';
        if (digit > 9)
            continue;
        number += digit * place;
        place *= 10;
    }
    return place == NUMBER_LIMIT ? number : -1;
}
