/* The epoll loop: accepting, connecting, reading, and one gathered write per stream and turn. */
#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define READ_SIZE 65536
#define EVENTS_PER_TURN 256

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void die(const char *what)
{
    perror(what);
    exit(71);
}

void loop_open(struct loop *loop, double timeout_s)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* the default of 50 us would show in a pace and in a latency */
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll < 0)
        die("epoll_create1");
    loop->deadline = now_ns() + (int64_t)(timeout_s * 1e9);
}

static struct stream *stream_new(struct loop *loop, int fd, enum stream_state state,
                                 const struct stream_events *events, void *owner)
{
    struct stream *s = must_have(calloc(1, sizeof *s));
    s->loop = loop;
    s->fd = fd;
    s->state = state;
    s->events = events;
    s->owner = owner;
    s->watching_output = state == STREAM_CONNECTING;
    struct epoll_event event = {.events = s->watching_output ? EPOLLOUT : EPOLLIN, .data.ptr = s};
    if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
    return s;
}

static struct sockaddr_in address_of(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "%s is not an IPv4 address\n", host);
        exit(64);
    }
    return address;
}

struct stream *stream_listen(struct loop *loop, const char *host, int *port,
                             const struct stream_events *events, void *owner)
{
    struct sockaddr_in address = address_of(host, *port);
    socklen_t size = sizeof address;
    int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        die("listen");
    *port = ntohs(address.sin_port);
    return stream_new(loop, fd, STREAM_LISTENING, events, owner);
}

static void send_at_once(int fd)
{
    int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

struct stream *stream_connect(struct loop *loop, const char *host, int port,
                              const struct stream_events *events, void *owner)
{
    struct sockaddr_in address = address_of(host, port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    send_at_once(fd);
    /* A refusal shows as EPOLLERR in the next turn, like any later failure; only then `closed` is called. */
    connect(fd, (struct sockaddr *)&address, sizeof address);
    return stream_new(loop, fd, STREAM_CONNECTING, events, owner);
}

static void watch_output(struct stream *s, bool wanted)
{
    if (s->watching_output == wanted)
        return;
    struct epoll_event event = {.events = EPOLLIN | (wanted ? EPOLLOUT : 0u), .data.ptr = s};
    epoll_ctl(s->loop->epoll, EPOLL_CTL_MOD, s->fd, &event);
    s->watching_output = wanted;
}

void stream_touch(struct stream *s)
{
    if (s->dirty || s->state == STREAM_CLOSED)
        return;
    s->dirty = true;
    s->next_dirty = s->loop->dirty;
    s->loop->dirty = s;
}

void stream_close(struct stream *s, int error)
{
    if (s->state == STREAM_CLOSED)
        return;
    s->state = STREAM_CLOSED;
    close(s->fd);
    s->next_dead = s->loop->dead;
    s->loop->dead = s;
    if (s->events->closed)
        s->events->closed(s, error);
}

static void stream_flush(struct stream *s)
{
    while (s->state == STREAM_OPEN && buffer_size(&s->out)) {
        ssize_t sent = send(s->fd, buffer_head(&s->out), buffer_size(&s->out), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN) {
            watch_output(s, true);
            return;
        }
        if (sent < 0) {
            stream_close(s, errno);
            return;
        }
        buffer_take(&s->out, (size_t)sent);
    }
    if (s->state != STREAM_OPEN)
        return;
    watch_output(s, false);
    if (s->close_when_flushed)
        stream_close(s, 0);
}

static void flush_dirty(struct loop *loop)
{
    while (loop->dirty) {
        struct stream *s = loop->dirty;
        loop->dirty = s->next_dirty;
        s->dirty = false;
        stream_flush(s);
    }
}

static void free_dead(struct loop *loop)
{
    while (loop->dead) {
        struct stream *s = loop->dead;
        loop->dead = s->next_dead;
        buffer_free(&s->in);
        buffer_free(&s->out);
        free(s);
    }
}

static void accept_all(struct stream *listener)
{
    int fd;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        send_at_once(fd);
        struct stream *fresh = stream_new(listener->loop, fd, STREAM_OPEN, listener->events, NULL);
        listener->events->accepted(fresh, listener->owner);
    }
}

static void read_some(struct stream *s)
{
    uint8_t *room = buffer_reserve(&s->in, READ_SIZE);
    ssize_t got = recv(s->fd, room, s->in.capacity - s->in.tail, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        stream_close(s, got < 0 ? errno : 0);
        return;
    }
    s->in.tail += (size_t)got;
    s->read_at = now_ns();
    s->events->received(s);
}

static void finish_connecting(struct stream *s)
{
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        stream_close(s, error);
        return;
    }
    s->state = STREAM_OPEN;
    watch_output(s, false);
    s->events->opened(s);
}

static void handle(struct stream *s, uint32_t events)
{
    switch (s->state) {
    case STREAM_CLOSED:
        return;
    case STREAM_LISTENING:
        accept_all(s);
        return;
    case STREAM_CONNECTING:
        finish_connecting(s);
        return;
    case STREAM_OPEN:
        if (events & EPOLLOUT)
            stream_touch(s);
        if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            read_some(s);
    }
}

static int wait_until(struct loop *loop, struct epoll_event *events, int64_t due)
{
    int64_t left = due - now_ns();
    if (left < 0)
        left = 0;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)
    struct timespec span = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
    int count = epoll_pwait2(loop->epoll, events, EVENTS_PER_TURN, &span, NULL);
    if (count >= 0 || errno != ENOSYS)
        return count;
#endif
    return epoll_wait(loop->epoll, events, EVENTS_PER_TURN, (int)((left + NS_PER_MS - 1) / NS_PER_MS));
}

void loop_run(struct loop *loop)
{
    struct epoll_event events[EVENTS_PER_TURN];
    while (!loop->stopping && !interrupted) {
        int64_t now = now_ns(), due = loop->turn(loop->owner, now);
        flush_dirty(loop);
        if (now >= loop->deadline) {
            loop->timed_out = true;
            break;
        }
        if (loop->dead) { /* `turn` has to hear of it before a sleep that nothing might end */
            free_dead(loop);
            continue;
        }
        if (due < 0 || due > loop->deadline)
            due = loop->deadline;
        if (loop->stopping)
            break;
        int count = wait_until(loop, events, due);
        for (int i = 0; i < count; i++)
            handle(events[i].data.ptr, events[i].events);
    }
    flush_dirty(loop);
}
