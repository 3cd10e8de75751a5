/* The monotonic clock and the stamp that travels inside a message text. */
#include "clock.h"

#include <sys/resource.h>
#include <time.h>

int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

void stamp_write(uint8_t *digits, int64_t ns)
{
    uint64_t left = (uint64_t)ns;
    for (int i = STAMP_DIGITS - 1; i >= 0; i--, left >>= 4)
        digits[i] = (uint8_t)"0123456789abcdef"[left & 15];
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int64_t stamp_read(const uint8_t *text, size_t length)
{
    if (length < 2 + STAMP_DIGITS || text[0] != 'T' || text[1] != 'x')
        return -1;
    uint64_t ns = 0;
    for (int i = 0; i < STAMP_DIGITS; i++) {
        int digit = hex_value(text[2 + i]);
        if (digit < 0)
            return -1;
        ns = ns << 4 | (uint64_t)digit;
    }
    return (int64_t)ns;
}
