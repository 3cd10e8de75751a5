/* Log-linear counting of latencies. */
#include "histogram.h"

/* Cell index: values below 2^(bits+1) map to themselves; above, the top bits+1 bits and the shift name the cell. */
static unsigned cell_of(uint64_t value)
{
    if (value < 2 * HISTOGRAM_STEPS)
        return (unsigned)value;
    unsigned shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_STEP_BITS;
    return shift * HISTOGRAM_STEPS + (unsigned)(value >> shift);
}

/* The middle of a cell. */
static double value_of(unsigned cell)
{
    if (cell < 2 * HISTOGRAM_STEPS)
        return cell;
    unsigned shift = cell / HISTOGRAM_STEPS - 1;
    return ((double)(cell - shift * HISTOGRAM_STEPS) + 0.5) * (double)(1ULL << shift);
}

void histogram_add(struct histogram *h, int64_t ns)
{
    if (ns < 0)
        ns = 0;
    h->cells[cell_of((uint64_t)ns)]++;
    h->count++;
    if (ns > h->max)
        h->max = ns;
}

double histogram_us(const struct histogram *h, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)h->count), seen = 0;
    for (unsigned cell = 0; cell < HISTOGRAM_CELLS; cell++) {
        seen += h->cells[cell];
        if (seen > wanted) {
            double ns = value_of(cell);
            return (ns < (double)h->max ? ns : (double)h->max) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}

void histogram_json(const struct histogram *h, struct buffer *out)
{
    buffer_print(out, "{\"count\": %llu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"max\": %.1f}",
                 (unsigned long long)h->count, histogram_us(h, 0.5), histogram_us(h, 0.9),
                 histogram_us(h, 0.99), (double)h->max / 1e3);
}
