/* The sink: an operator's message centre, the receiver of a gateway's callbacks, and a port to ask and steer it. */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"
#include "ring.h"
#include "stream.h"
#include "tally.h"

struct settings {
    int64_t latency;  /* ms from submit_sm to its answer */
    int64_t delay;    /* ms from the answer to the receipt; negative: no receipts */
    int64_t window;   /* unanswered deliver_sm a session may have */
    int64_t throttle; /* every Nth submit_sm is refused with ESME_RTHROTTLED; 0: none */
    int64_t expected; /* messages that should arrive; statistics then tell how many are lost */
};

struct counters {
    uint64_t submits, throttled, unreadable, waiting_max;
    uint64_t receipts_sent, receipts_answered, receipts_refused;
    uint64_t http_requests, callbacks_delivered;
};

struct sink {
    struct loop loop;
    struct settings settings;
    struct counters counters;
    struct tally arrivals, callbacks;
    struct histogram latency;
    struct session *sessions;
    struct ring orphans; /* receipts whose session has gone: for the next one of the same system_id */
    uint64_t next_id;
};

extern const struct stream_events sink_smpp_events, sink_http_events, sink_control_events;

/* Sends whatever answers and receipts are due; returns the time of the next, or -1. */
int64_t sink_smpp_turn(struct sink *sink, int64_t now);

/* Sessions bound now, and receipts that are not yet acknowledged. */
void sink_smpp_count(const struct sink *sink, unsigned *bound, uint64_t *receipts_waiting);

/* A setting by its name, or NULL. */
int64_t *sink_setting(struct sink *sink, const char *name);

/* Appends one line of JSON. */
void sink_statistics(struct sink *sink, struct buffer *out);

void sink_reset(struct sink *sink);

#endif
