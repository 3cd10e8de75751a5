/* Time, in nanoseconds of CLOCK_MONOTONIC: one clock for every process of a machine, so a stamp written by a
 * loader can be compared with the time at which the sink reads it. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL
#define STAMP_DIGITS 16

int64_t now_ns(void);

/* User + system seconds this process has used. */
double cpu_seconds(void);

/* Writes 16 lower-case hex digits, no terminator. */
void stamp_write(uint8_t *digits, int64_t ns);

/* Reads "Tx" + 16 hex digits at the start of a text; -1 when the text does not begin so. */
int64_t stamp_read(const uint8_t *text, size_t length);

#endif
