/* When a loader may send its next request: at once (closed loop, someone answers and the next goes out) or on a
 * timetable (open loop, where latency counts from the time a request was due, so that a stall is not hidden). */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint64_t total;  /* requests to send; 0: no limit but the time */
    double seconds;  /* how long to send; 0: no limit but the total */
    double rate;     /* requests a second; 0: closed loop */
    uint64_t issued; /* requests sent so far */
    int64_t start;   /* 0 until the first call of pace_start */
};

void pace_start(struct pace *pace, int64_t now);

/* No further request will be sent. */
bool pace_over(const struct pace *pace, int64_t now);

/* When the next request is due; `now` in a closed loop. */
int64_t pace_due(const struct pace *pace, int64_t now);

#endif
