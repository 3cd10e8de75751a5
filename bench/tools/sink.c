/* The sink's command line, its statistics, and the loop that ties its three ports together. */
#include "sink.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

static const char usage[] =
    "usage: sink [options]\n"
    "An SMPP message centre (-p), a counter of HTTP callbacks (-w) and a control port (-c).\n"
    "Prints its ports as one line of JSON when it is ready, and its statistics when it ends.\n"
    "  -p PORT     SMPP; 0, the default, takes a free port\n"
    "  -w PORT     HTTP callbacks (form fields phone, status)\n"
    "  -c PORT     control: stats | reset | set NAME VALUE | map FILE N | cbmap FILE N | quit\n"
    "  -H ADDRESS  IPv4 address to listen on (127.0.0.1)\n"
    "  -l MS       set latency: from submit_sm to its answer (0)\n"
    "  -d MS       set delay: from the answer to the receipt; -1: no receipts (-1)\n"
    "  -W N        set window: unanswered deliver_sm a session (100)\n"
    "  -e N        set throttle: refuse every Nth submit_sm with ESME_RTHROTTLED; 0: none (0)\n"
    "  --timeout S end after so many seconds (3600)\n"
    "  -h          this text\n";

struct ports {
    int smpp, http, control;
};

static void read_options(int argc, char **argv, struct sink *sink, struct ports *ports,
                         const char **host, double *timeout_s)
{
    static const struct option longer[] = {{"timeout", required_argument, NULL, 't'},
                                           {"help", no_argument, NULL, 'h'},
                                           {0}};
    int option;
    while ((option = getopt_long(argc, argv, "p:w:c:H:l:d:W:e:h", longer, NULL)) != -1) {
        switch (option) {
        case 'p': ports->smpp = atoi(optarg); break;
        case 'w': ports->http = atoi(optarg); break;
        case 'c': ports->control = atoi(optarg); break;
        case 'H': *host = optarg; break;
        case 'l': sink->settings.latency = atoll(optarg); break;
        case 'd': sink->settings.delay = atoll(optarg); break;
        case 'W': sink->settings.window = atoll(optarg); break;
        case 'e': sink->settings.throttle = atoll(optarg); break;
        case 't': *timeout_s = atof(optarg); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(64);
        }
    }
    if (optind != argc) {
        fputs(usage, stderr);
        exit(64);
    }
}

int64_t *sink_setting(struct sink *sink, const char *name)
{
    struct settings *s = &sink->settings;
    const struct {
        const char *name;
        int64_t *value;
    } table[] = {{"latency", &s->latency},
                 {"delay", &s->delay},
                 {"window", &s->window},
                 {"throttle", &s->throttle},
                 {"expected", &s->expected}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(table[i].name, name))
            return table[i].value;
    return NULL;
}

static void print_tally(struct buffer *out, const char *prefix, const struct tally *t)
{
    buffer_print(out,
                 "\"%s\": %" PRIu64 ", \"%s_distinct\": %" PRIu64 ", \"%s_repeats\": %" PRIu64
                 ", \"%s_strange\": %" PRIu64 ", \"%s_first_ns\": %" PRId64 ", \"%s_last_ns\": %" PRId64
                 ", \"%s_rate\": %.1f, ",
                 prefix, t->total, prefix, t->distinct, prefix, t->repeats, prefix, t->strange, prefix,
                 t->first_ns, prefix, t->last_ns, prefix, tally_rate(t));
}

void sink_statistics(struct sink *sink, struct buffer *out)
{
    const struct counters *c = &sink->counters;
    unsigned bound;
    uint64_t waiting;
    sink_smpp_count(sink, &bound, &waiting);
    buffer_print(out, "{");
    print_tally(out, "arrivals", &sink->arrivals);
    print_tally(out, "callbacks", &sink->callbacks);
    if (sink->settings.expected)
        buffer_print(out, "\"lost\": %" PRId64 ", ",
                     sink->settings.expected - (int64_t)sink->arrivals.distinct);
    buffer_print(out,
                 "\"submits\": %" PRIu64 ", \"throttled\": %" PRIu64 ", \"unreadable\": %" PRIu64
                 ", \"waiting_max\": %" PRIu64 ", ",
                 c->submits, c->throttled, c->unreadable, c->waiting_max);
    buffer_print(out,
                 "\"receipts_sent\": %" PRIu64 ", \"receipts_answered\": %" PRIu64
                 ", \"receipts_refused\": %" PRIu64 ", \"receipts_waiting\": %" PRIu64 ", ",
                 c->receipts_sent, c->receipts_answered, c->receipts_refused, waiting);
    buffer_print(out, "\"http_requests\": %" PRIu64 ", \"callbacks_delivered\": %" PRIu64 ", ",
                 c->http_requests, c->callbacks_delivered);
    buffer_print(out, "\"bound\": %u, \"cpu_s\": %.4f, \"latency_us\": ", bound, cpu_seconds());
    histogram_json(&sink->latency, out);
    buffer_print(out, "}\n");
}

void sink_reset(struct sink *sink)
{
    tally_reset(&sink->arrivals);
    tally_reset(&sink->callbacks);
    memset(&sink->latency, 0, sizeof sink->latency);
    memset(&sink->counters, 0, sizeof sink->counters);
}

static int64_t turn(void *owner, int64_t now)
{
    return sink_smpp_turn(owner, now);
}

int main(int argc, char **argv)
{
    struct sink *sink = must_have(calloc(1, sizeof *sink));
    struct ports ports = {0};
    const char *host = "127.0.0.1";
    double timeout_s = 3600;
    sink->settings = (struct settings){.delay = -1, .window = 100};
    read_options(argc, argv, sink, &ports, &host, &timeout_s);
    /* No id is ever given twice, not even by a sink that is started again. */
    sink->next_id = (uint64_t)time(NULL) * 1000000;
    tally_open(&sink->arrivals);
    tally_open(&sink->callbacks);
    sink->loop = (struct loop){.turn = turn, .owner = sink};
    loop_open(&sink->loop, timeout_s);
    stream_listen(&sink->loop, host, &ports.smpp, &sink_smpp_events, sink);
    stream_listen(&sink->loop, host, &ports.http, &sink_http_events, sink);
    stream_listen(&sink->loop, host, &ports.control, &sink_control_events, sink);
    printf("{\"smpp\": %d, \"http\": %d, \"control\": %d}\n", ports.smpp, ports.http, ports.control);
    fflush(stdout);
    loop_run(&sink->loop);
    struct buffer line = {0};
    sink_statistics(sink, &line);
    fwrite(buffer_head(&line), 1, buffer_size(&line), stdout);
    return sink->loop.timed_out;
}
