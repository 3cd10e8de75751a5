/* Closed and open loops. */
#include "pace.h"

void pace_start(struct pace *pace, int64_t now)
{
    if (!pace->start)
        pace->start = now;
}

bool pace_over(const struct pace *pace, int64_t now)
{
    if (pace->total && pace->issued >= pace->total)
        return true;
    return pace->seconds > 0 && now >= pace->start + (int64_t)(pace->seconds * 1e9);
}

int64_t pace_due(const struct pace *pace, int64_t now)
{
    return pace->rate > 0 ? pace->start + (int64_t)((double)pace->issued / pace->rate * 1e9) : now;
}
