/* How often each message number was seen. A message number is the last eight digits of a phone number. */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NUMBER_DIGITS 8
#define NUMBER_LIMIT 100000000u

struct tally {
    uint8_t *seen; /* one saturating byte per number; the kernel gives pages only for the numbers touched */
    uint64_t total, distinct, repeats, strange;
    int64_t first_ns, last_ns;
};

void tally_open(struct tally *t);
void tally_reset(struct tally *t);

/* `number` < 0 counts as strange (an address without eight digits). */
void tally_add(struct tally *t, int64_t number, int64_t now);

/* (total - 1) / (last - first), per second; 0 below two arrivals. */
double tally_rate(const struct tally *t);

/* Writes one byte for each of the first `count` numbers. */
bool tally_write(const struct tally *t, const char *path, uint64_t count);

/* Last eight digits of an address as a number, signs other than digits skipped; -1 when there are fewer. */
int64_t number_of(const uint8_t *address, size_t length);

#endif
