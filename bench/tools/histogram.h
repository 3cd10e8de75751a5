/* Latencies in nanoseconds, kept in log-linear steps: exact below 512 ns, within 0.4 % above. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#include "buffer.h"

#define HISTOGRAM_STEP_BITS 8
#define HISTOGRAM_STEPS (1 << HISTOGRAM_STEP_BITS)
#define HISTOGRAM_CELLS ((64 - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS)

struct histogram {
    uint64_t cells[HISTOGRAM_CELLS];
    uint64_t count;
    int64_t max;
};

/* A negative value counts as zero. */
void histogram_add(struct histogram *h, int64_t ns);

/* The value below which `share` (0..1) of the samples lie, in microseconds; 0 without samples. */
double histogram_us(const struct histogram *h, double share);

/* Appends {"count": N, "p50": us, "p90": us, "p99": us, "max": us}. */
void histogram_json(const struct histogram *h, struct buffer *out);

#endif
