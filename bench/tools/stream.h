/* One epoll loop and its TCP streams. Bytes put into `out` leave together at the end of a turn: one system call
 * for whatever one wake-up produced. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "buffer.h"

struct stream;

struct loop {
    int epoll;
    bool stopping;
    /* Called once a turn; returns when it wants to be called again at the latest (ns), or -1 for "no need". */
    int64_t (*turn)(void *owner, int64_t now);
    void *owner;
    int64_t deadline; /* the loop stops then, whatever happens; `timed_out` says that it did */
    bool timed_out;
    struct stream *dirty, *dead;
};

struct stream_events {
    void (*accepted)(struct stream *fresh, void *listener_owner);
    void (*opened)(struct stream *s);
    void (*received)(struct stream *s);
    void (*closed)(struct stream *s, int error);
};

enum stream_state { STREAM_LISTENING, STREAM_CONNECTING, STREAM_OPEN, STREAM_CLOSED };

struct stream {
    struct loop *loop;
    const struct stream_events *events;
    void *owner;
    int fd;
    enum stream_state state;
    bool dirty, watching_output, close_when_flushed;
    int64_t read_at; /* when the newest bytes of `in` were read */
    struct buffer in, out;
    struct stream *next_dirty, *next_dead;
};

/* Opens the loop; it ends by itself after `timeout_s`, or on SIGINT and SIGTERM. */
void loop_open(struct loop *loop, double timeout_s);
void loop_run(struct loop *loop);

/* Port 0 takes a free port; stores the real one. Ends the program when it cannot listen. */
struct stream *stream_listen(struct loop *loop, const char *host, int *port,
                             const struct stream_events *events, void *owner);
/* Begins to connect; `opened` or `closed` follows. Ends the program on an address that is none. */
struct stream *stream_connect(struct loop *loop, const char *host, int port,
                              const struct stream_events *events, void *owner);
/* To be called after putting bytes into `out`. */
void stream_touch(struct stream *s);
/* `closed` is called; the memory lives until the end of the turn. */
void stream_close(struct stream *s, int error);

#endif
