/* An HTTP/1.1 load generator: some connections that stay open, one request at a time on each. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "histogram.h"
#include "http.h"
#include "image.h"
#include "pace.h"
#include "stream.h"
#include "tally.h"

#define ODD_ANSWERS 5
#define ODD_LENGTH 200
#define RETRY_NS (100 * NS_PER_MS)

static const char usage[] =
    "usage: httpload [options] http://ADDRESS:PORT/PATH?QUERY\n"
    "URL and body may hold {seq} (8 digits), {ts} (16 hex digits), {list:PREFIX:N} (N numbers).\n"
    "Prints one line of JSON; the first few wrong answers go to the error output.\n"
    "  -c N        connections (32)\n"
    "  -n N        requests to send (1000)\n"
    "  -d SECONDS  how long to send, instead of or besides -n\n"
    "  -R RATE     requests a second, latency from the due time; without: as fast as answers come\n"
    "  -B BODY     POST this body; -B @FILE reads it from a file\n"
    "  -t TYPE     its content type (application/x-www-form-urlencoded)\n"
    "  -a HEADER   one more header line\n"
    "  -e PREFIX   a good answer begins so\n"
    "  -x TEXT     a good answer does not contain this (ERROR)\n"
    "  -s FIRST    first running number (0)\n"
    "  -m FILE     write one byte for each number up to the last: how often it was accepted\n"
    "  --timeout S end after so many seconds, whatever is missing (120)\n"
    "  -h          this text\n";

struct connection {
    struct load *load;
    struct stream *stream;
    struct connection *next_idle;
    bool open, busy, idle;
    int64_t since, retry_at;
    uint64_t number;
};

struct load {
    struct loop loop;
    struct pace pace;
    struct image image;
    struct connection *connections, *idle;
    unsigned connection_count, missing, open, busy, refused;
    const char *host_text, *prefix, *forbidden, *map_path;
    char host[64];
    int port;
    uint64_t first, ok, failed, other, reconnects;
    struct tally accepted;
    struct histogram latency;
    int64_t last_answer;
    char odd[ODD_ANSWERS][ODD_LENGTH + 1];
};

static const struct stream_events events;

static void make_idle(struct connection *c)
{
    if (c->idle)
        return;
    c->idle = true;
    c->next_idle = c->load->idle;
    c->load->idle = c;
}

static void note_odd(struct load *load, const char *what, const uint8_t *text, size_t length)
{
    char line[ODD_LENGTH + 1];
    snprintf(line, sizeof line, "%s%.*s", what, (int)(length < ODD_LENGTH ? length : ODD_LENGTH),
             (const char *)text);
    for (int i = 0; i < ODD_ANSWERS; i++) {
        if (!strcmp(load->odd[i], line))
            return;
        if (!*load->odd[i]) {
            memcpy(load->odd[i], line, sizeof line);
            fprintf(stderr, "httpload: %s\n", line);
            return;
        }
    }
}

static bool is_good(const struct load *load, const struct http_message *m)
{
    size_t prefix = strlen(load->prefix), forbidden = strlen(load->forbidden);
    if (m->body_length < prefix || memcmp(m->body, load->prefix, prefix))
        return false;
    return !forbidden || !memmem(m->body, m->body_length, load->forbidden, forbidden);
}

static void judge(struct connection *c, const struct http_message *m)
{
    struct load *load = c->load;
    int64_t now = c->stream->read_at;
    char status[32];
    histogram_add(&load->latency, now - c->since);
    load->last_answer = now;
    if (m->status / 100 != 2) {
        load->other++;
        snprintf(status, sizeof status, "HTTP %d: ", m->status);
        note_odd(load, status, m->body, m->body_length);
    } else if (!is_good(load, m)) {
        load->failed++;
        note_odd(load, "", m->body, m->body_length);
    } else {
        load->ok++;
        for (unsigned i = 0; i < load->image.numbers; i++)
            tally_add(&load->accepted, (int64_t)((c->number + i) % NUMBER_LIMIT), now);
    }
}

static void on_opened(struct stream *s)
{
    struct connection *c = s->owner;
    c->open = true;
    c->load->open++;
    make_idle(c);
}

static void on_received(struct stream *s)
{
    struct connection *c = s->owner;
    struct http_message m;
    long used = http_next(buffer_head(&s->in), buffer_size(&s->in), &m);
    if (!used)
        return;
    if (used < 0 || !c->busy) {
        note_odd(c->load, "unreadable: ", buffer_head(&s->in), buffer_size(&s->in));
        stream_close(s, 0);
        return;
    }
    judge(c, &m);
    buffer_take(&s->in, (size_t)used);
    c->busy = false;
    c->load->busy--;
    if (m.close)
        stream_close(s, 0);
    else
        make_idle(c);
}

static void on_closed(struct stream *s, int error)
{
    struct connection *c = s->owner;
    struct load *load = c->load;
    if (c->busy) { /* nobody knows whether it was accepted: it is not repeated */
        c->busy = false;
        load->busy--;
        load->other++;
        note_odd(load, "closed before the answer: ", (const uint8_t *)strerror(error), error ? 40 : 0);
    }
    if (c->open) {
        c->open = false;
        load->open--;
        load->reconnects++;
    } else if (++load->refused > 50 * load->connection_count) {
        load->loop.stopping = true;
    }
    load->missing++;
    c->stream = NULL;
    c->retry_at = error ? now_ns() + RETRY_NS : 0;
}

static const struct stream_events events = {
    .opened = on_opened, .received = on_received, .closed = on_closed};

static void send_request(struct connection *c, int64_t due)
{
    struct load *load = c->load;
    int64_t now = now_ns();
    c->since = load->pace.rate > 0 ? due : now;
    c->number = load->first + load->pace.issued++ * load->image.numbers;
    c->busy = true;
    load->busy++;
    image_copy(&load->image, &c->stream->out, c->number, c->since);
    stream_touch(c->stream);
}

static int64_t connect_missing(struct load *load, int64_t now)
{
    int64_t next = -1;
    for (unsigned i = 0; load->missing && i < load->connection_count; i++) {
        struct connection *c = &load->connections[i];
        if (c->stream)
            continue;
        if (c->retry_at <= now) {
            c->stream = stream_connect(&load->loop, load->host, load->port, &events, c);
            load->missing--;
        } else if (next < 0 || c->retry_at < next) {
            next = c->retry_at;
        }
    }
    return next;
}

static int64_t turn(void *owner, int64_t now)
{
    struct load *load = owner;
    int64_t next = connect_missing(load, now);
    if (!load->pace.start && load->open < load->connection_count)
        return next; /* the clock starts when all are connected */
    pace_start(&load->pace, now);
    while (load->idle && !pace_over(&load->pace, now)) {
        int64_t due = pace_due(&load->pace, now);
        if (due > now)
            return next < 0 || due < next ? due : next;
        struct connection *c = load->idle;
        load->idle = c->next_idle;
        c->idle = false;
        if (c->stream && c->stream->state == STREAM_OPEN)
            send_request(c, due);
    }
    if (pace_over(&load->pace, now) && !load->busy)
        load->loop.stopping = true;
    return next;
}

static void report(struct load *load)
{
    struct buffer out = {0};
    double seconds = (double)(load->last_answer - load->pace.start) / 1e9;
    uint64_t answered = load->ok + load->failed + load->other;
    buffer_print(&out,
                 "{\"tool\": \"httpload\", \"sent\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"failed\": %" PRIu64
                 ", \"other\": %" PRIu64 ", \"unanswered\": %u, \"messages\": %" PRIu64 ", ",
                 load->pace.issued, load->ok, load->failed, load->other, load->busy,
                 load->ok * load->image.numbers);
    buffer_print(&out,
                 "\"first\": %" PRIu64 ", \"reconnects\": %" PRIu64 ", \"timed_out\": %s, \"seconds\": %.4f, "
                 "\"rate\": %.1f, \"cpu_s\": %.4f, \"latency_us\": ",
                 load->first, load->reconnects, load->loop.timed_out ? "true" : "false", seconds,
                 seconds > 0 ? (double)answered / seconds : 0.0, cpu_seconds());
    histogram_json(&load->latency, &out);
    buffer_print(&out, "}\n");
    fwrite(buffer_head(&out), 1, buffer_size(&out), stdout);
    uint64_t end = load->first + load->pace.issued * load->image.numbers;
    if (load->map_path && !tally_write(&load->accepted, load->map_path, end))
        perror(load->map_path);
}

/* The head in one piece with the body, so that one write carries a request. */
static void build_image(struct load *load, const char *path, const char *body, const char *type,
                        const char *header)
{
    struct image content = {0};
    char line[256];
    if (body)
        image_add(&content, body);
    image_add(&load->image, body ? "POST " : "GET ");
    image_add(&load->image, *path ? path : "/");
    snprintf(line, sizeof line, " HTTP/1.1\r\nHost: %s\r\n", load->host_text);
    image_add(&load->image, line);
    if (body) {
        snprintf(line, sizeof line, "Content-Type: %s\r\nContent-Length: %zu\r\n", type,
                 buffer_size(&content.bytes));
        image_add(&load->image, line);
    }
    if (header) {
        image_add(&load->image, header);
        image_add(&load->image, "\r\n");
    }
    image_add(&load->image, "\r\n");
    if (body)
        image_join(&load->image, &content);
}

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct buffer text = {0};
    size_t got;
    if (!file) {
        perror(path);
        exit(66);
    }
    while ((got = fread(buffer_reserve(&text, 65536), 1, 65536, file)) > 0)
        text.tail += got;
    fclose(file);
    buffer_put(&text, "", 1);
    return (char *)text.bytes;
}

static void read_url(struct load *load, const char *url, const char **path)
{
    int length = 0;
    if (sscanf(url, "http://%63[^:/]:%d%n", load->host, &load->port, &length) != 2) {
        fprintf(stderr, "httpload: %s is not http://ADDRESS:PORT/...\n", url);
        exit(64);
    }
    if (!strcmp(load->host, "localhost"))
        strcpy(load->host, "127.0.0.1");
    load->host_text = load->host;
    *path = url + length;
}

static void read_options(struct load *load, int argc, char **argv, double *timeout_s)
{
    static const struct option longer[] = {{"timeout", required_argument, NULL, 'T'},
                                           {"help", no_argument, NULL, 'h'},
                                           {0}};
    const char *body = NULL, *type = "application/x-www-form-urlencoded", *header = NULL, *path;
    bool counted = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:n:d:R:B:t:a:e:x:s:m:h", longer, NULL)) != -1) {
        switch (option) {
        case 'c': load->connection_count = (unsigned)atoi(optarg); break;
        case 'n': load->pace.total = strtoull(optarg, NULL, 10); counted = true; break;
        case 'd': load->pace.seconds = atof(optarg); break;
        case 'R': load->pace.rate = atof(optarg); break;
        case 'B': body = *optarg == '@' ? read_file(optarg + 1) : optarg; break;
        case 't': type = optarg; break;
        case 'a': header = optarg; break;
        case 'e': load->prefix = optarg; break;
        case 'x': load->forbidden = optarg; break;
        case 's': load->first = strtoull(optarg, NULL, 10); break;
        case 'm': load->map_path = optarg; break;
        case 'T': *timeout_s = atof(optarg); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(64);
        }
    }
    if (optind + 1 != argc || !load->connection_count) {
        fputs(usage, stderr);
        exit(64);
    }
    if (!counted && load->pace.seconds > 0)
        load->pace.total = 0;
    read_url(load, argv[optind], &path);
    build_image(load, path, body, type, header);
}

int main(int argc, char **argv)
{
    struct load *load = must_have(calloc(1, sizeof *load));
    double timeout_s = 120;
    *load = (struct load){.pace.total = 1000, .connection_count = 32, .prefix = "", .forbidden = "ERROR"};
    read_options(load, argc, argv, &timeout_s);
    tally_open(&load->accepted);
    load->connections = must_have(calloc(load->connection_count, sizeof *load->connections));
    for (unsigned i = 0; i < load->connection_count; i++)
        load->connections[i].load = load;
    load->missing = load->connection_count;
    load->loop.turn = turn;
    load->loop.owner = load;
    loop_open(&load->loop, timeout_s);
    loop_run(&load->loop);
    if (!load->pace.start)
        fprintf(stderr, "httpload: cannot connect to %s:%d\n", load->host, load->port);
    report(load);
    return load->loop.timed_out || load->busy || !load->pace.start;
}
