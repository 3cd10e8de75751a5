/* An SMPP 3.4 client that submits with a window or on a timetable and takes the receipts back. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "histogram.h"
#include "image.h"
#include "pace.h"
#include "pdu.h"
#include "stream.h"
#include "tally.h"

#define SLOTS 65536 /* requests a bind may be ahead of its oldest unanswered one; a power of two */
#define STATUSES 16
#define GOODBYE_NS NS_PER_S
#define SEQUENCE_AT 12

static const char usage[] =
    "usage: smppload [options]\n"
    "Binds as a transceiver, submits, prints one line of JSON.\n"
    "  -H ADDRESS  IPv4 address (127.0.0.1)\n"
    "  -P PORT     port (2775)\n"
    "  -u NAME     system_id (bench)\n"
    "  -k WORD     password (bench)\n"
    "  -b N        binds (1)\n"
    "  -W N        window: unanswered submit_sm a bind (50)\n"
    "  -n N        messages (1000)\n"
    "  -D SECONDS  how long to send, instead of or besides -n\n"
    "  -R RATE     messages a second, latency from the due time; without: as fast as answers come\n"
    "  -f TEXT     text with {seq} and {ts} (Tx{ts} hello)\n"
    "  -d NUMBER   destination with {seq} (791{seq})\n"
    "  -o SENDER   alphanumeric source address (bench)\n"
    "  -r          ask for receipts and wait for them\n"
    "  -L SECONDS  give up on receipts when none has come for so long (10)\n"
    "  -s FIRST    first running number (0)\n"
    "  -m FILE     write one byte for each number up to the last: how often it was accepted\n"
    "  --timeout S end after so many seconds, whatever is missing (120)\n"
    "  -h          this text\n";

struct slot {
    int64_t since;
    uint64_t number;
    bool used;
};

struct link {
    struct load *load;
    struct stream *stream;
    bool bound, leaving;
    unsigned unanswered;
    uint32_t sequence;
    struct slot slots[SLOTS];
};

struct load {
    struct loop loop;
    struct pace pace;
    struct image image;
    struct link **links;
    unsigned link_count, window, bound, next_link, unanswered, gone;
    const char *host, *system_id, *password, *map_path;
    int port;
    bool wants_receipts;
    double patience_s;
    uint64_t first, ok, refused, lost_links, receipts_mismatched, receipts_early;
    struct {
        uint32_t status;
        uint64_t count;
    } statuses[STATUSES];
    struct tally accepted, receipts;
    struct histogram latency;
    uint32_t *id_hashes; /* of the accepted messages, from `first` on; 0: not yet answered */
    uint64_t id_room;
    int64_t last_answer, goodbye_at;
};

static uint32_t hash_of(struct slice id)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < id.length; i++)
        hash = (hash ^ id.bytes[i]) * 16777619u;
    return hash ? hash : 1;
}

static uint32_t *hash_place(struct load *load, uint64_t number)
{
    if (number < load->first)
        return NULL;
    uint64_t index = number - load->first;
    if (index >= NUMBER_LIMIT)
        return NULL;
    if (index >= load->id_room) {
        uint64_t room = load->id_room ? load->id_room : 65536;
        while (room <= index)
            room *= 2;
        load->id_hashes = must_have(realloc(load->id_hashes, room * sizeof *load->id_hashes));
        memset(load->id_hashes + load->id_room, 0, (room - load->id_room) * sizeof *load->id_hashes);
        load->id_room = room;
    }
    return &load->id_hashes[index];
}

static void count_status(struct load *load, uint32_t status)
{
    for (int i = 0; i < STATUSES; i++) {
        if (!load->statuses[i].count)
            load->statuses[i].status = status;
        if (load->statuses[i].status == status) {
            load->statuses[i].count++;
            return;
        }
    }
}

static void take_submit_answer(struct link *l, const struct pdu *pdu)
{
    struct load *load = l->load;
    struct slot *slot = &l->slots[pdu->sequence & (SLOTS - 1)];
    if (!slot->used)
        return;
    slot->used = false;
    l->unanswered--;
    load->unanswered--;
    load->last_answer = l->stream->read_at;
    histogram_add(&load->latency, load->last_answer - slot->since);
    count_status(load, pdu->status);
    if (pdu->status != ESME_ROK) {
        load->refused++;
        return;
    }
    load->ok++;
    tally_add(&load->accepted, (int64_t)(slot->number % NUMBER_LIMIT), load->last_answer);
    uint32_t *hash = hash_place(load, slot->number);
    if (hash)
        *hash = hash_of(pdu_first_string(pdu));
}

/* The id a receipt speaks of: the TLV, else the "id:" of its text. */
static struct slice receipted_id(const struct message *m)
{
    struct slice none = {NULL, 0};
    if (m->receipted_id.length)
        return m->receipted_id;
    if (m->text.length < 4 || memcmp(m->text.bytes, "id:", 3))
        return none;
    const uint8_t *id = m->text.bytes + 3, *end = memchr(id, ' ', m->text.length - 3);
    return end ? (struct slice){id, (size_t)(end - id)} : none;
}

static void take_deliver(struct link *l, const struct pdu *pdu)
{
    struct load *load = l->load;
    struct message m;
    bool readable = message_parse(pdu, &m);
    if (readable && m.esm_class & ESM_RECEIPT) {
        int64_t number = number_of(m.source.bytes, m.source.length);
        uint32_t *hash = number < 0 ? NULL : hash_place(load, (uint64_t)number);
        tally_add(&load->receipts, number, l->stream->read_at);
        if (hash && !*hash)
            load->receipts_early++;
        else if (!hash || *hash != hash_of(receipted_id(&m)))
            load->receipts_mismatched++;
    }
    struct buffer *out = &l->stream->out;
    size_t begin = pdu_begin(out, DELIVER_SM | RESPONSE, readable ? ESME_ROK : ESME_RINVMSGLEN, pdu->sequence);
    put_byte(out, 0); /* message_id, unused (SMPP 3.4, 4.6.2) */
    pdu_end(out, begin);
    stream_touch(l->stream);
}

static void take_bind_answer(struct link *l, const struct pdu *pdu)
{
    if (pdu->status != ESME_ROK) {
        fprintf(stderr, "smppload: bind refused with status 0x%08x\n", (unsigned)pdu->status);
        l->load->loop.stopping = true;
        return;
    }
    l->bound = true;
    l->load->bound++;
}

static void take_pdu(struct link *l, const struct pdu *pdu)
{
    struct buffer *out = &l->stream->out;
    switch (pdu->command) {
    case SUBMIT_SM | RESPONSE:
    case GENERIC_NACK:
        take_submit_answer(l, pdu);
        return;
    case DELIVER_SM:
        take_deliver(l, pdu);
        return;
    case BIND_TRANSCEIVER | RESPONSE:
        take_bind_answer(l, pdu);
        return;
    case ENQUIRE_LINK:
        pdu_bare(out, ENQUIRE_LINK | RESPONSE, ESME_ROK, pdu->sequence);
        break;
    case UNBIND:
        pdu_bare(out, UNBIND | RESPONSE, ESME_ROK, pdu->sequence);
        l->stream->close_when_flushed = true;
        break;
    case UNBIND | RESPONSE:
        stream_close(l->stream, 0);
        return;
    default:
        if (!(pdu->command & RESPONSE))
            pdu_bare(out, GENERIC_NACK, ESME_RINVCMDID, pdu->sequence);
    }
    stream_touch(l->stream);
}

static void on_received(struct stream *s)
{
    struct link *l = s->owner;
    struct pdu pdu;
    int used = 0;
    while (s->state == STREAM_OPEN &&
           (used = pdu_next(buffer_head(&s->in), buffer_size(&s->in), &pdu)) > 0) {
        take_pdu(l, &pdu);
        buffer_take(&s->in, (size_t)used);
    }
    if (used < 0)
        stream_close(s, 0);
}

static void on_opened(struct stream *s)
{
    struct link *l = s->owner;
    struct buffer *out = &s->out;
    size_t begin = pdu_begin(out, BIND_TRANSCEIVER, 0, ++l->sequence);
    put_string(out, l->load->system_id, strlen(l->load->system_id));
    put_string(out, l->load->password, strlen(l->load->password));
    put_string(out, "", 0);
    buffer_put(out, "\x34\x00\x00", 3); /* interface_version, addr_ton, addr_npi */
    put_string(out, "", 0);
    pdu_end(out, begin);
    stream_touch(s);
}

static void on_closed(struct stream *s, int error)
{
    struct link *l = s->owner;
    struct load *load = l->load;
    if (!l->leaving) {
        fprintf(stderr, "smppload: connection lost: %s\n", error ? strerror(error) : "closed by the peer");
        load->lost_links++;
    }
    load->bound -= l->bound;
    l->bound = false;
    load->unanswered -= l->unanswered;
    l->stream = NULL;
    if (++load->gone == load->link_count)
        load->loop.stopping = true;
}

static const struct stream_events events = {
    .opened = on_opened, .received = on_received, .closed = on_closed};

static void submit(struct link *l, int64_t due)
{
    struct load *load = l->load;
    uint32_t sequence = l->sequence = l->sequence % 0x7fffffff + 1;
    struct slot *slot = &l->slots[sequence & (SLOTS - 1)];
    *slot = (struct slot){.since = load->pace.rate > 0 ? due : now_ns(),
                          .number = load->first + load->pace.issued++,
                          .used = true};
    uint8_t *copy = image_copy(&load->image, &l->stream->out, slot->number, slot->since);
    for (int i = 0; i < 4; i++)
        copy[SEQUENCE_AT + i] = (uint8_t)(sequence >> (24 - 8 * i));
    l->unanswered++;
    load->unanswered++;
    stream_touch(l->stream);
}

/* The next bind, in turn, that may send; NULL when every window is full. */
static struct link *free_link(struct load *load)
{
    for (unsigned i = 0; i < load->link_count; i++) {
        struct link *l = load->links[load->next_link++ % load->link_count];
        if (l->bound && l->unanswered < load->window &&
            !l->slots[(l->sequence % 0x7fffffff + 1) & (SLOTS - 1)].used)
            return l;
    }
    return NULL;
}

static void say_goodbye(struct load *load, int64_t now)
{
    load->goodbye_at = now;
    for (unsigned i = 0; i < load->link_count; i++) {
        struct link *l = load->links[i];
        l->leaving = true;
        if (!l->stream)
            continue;
        pdu_bare(&l->stream->out, UNBIND, 0, l->sequence % 0x7fffffff + 1);
        stream_touch(l->stream);
    }
}

/* After the last answer: waits for receipts while they come. Returns when to look again. */
static int64_t wind_up(struct load *load, int64_t now)
{
    if (load->goodbye_at) {
        if (now >= load->goodbye_at + GOODBYE_NS)
            load->loop.stopping = true;
        return load->goodbye_at + GOODBYE_NS;
    }
    if (load->wants_receipts && load->receipts.distinct < load->accepted.distinct) {
        int64_t last = load->receipts.last_ns > load->last_answer ? load->receipts.last_ns : load->last_answer;
        int64_t patience = last + (int64_t)(load->patience_s * 1e9);
        if (now < patience)
            return patience;
    }
    say_goodbye(load, now);
    return now + GOODBYE_NS;
}

static int64_t turn(void *owner, int64_t now)
{
    struct load *load = owner;
    struct link *l;
    if (!load->pace.start && load->bound < load->link_count)
        return -1;
    pace_start(&load->pace, now);
    while (!pace_over(&load->pace, now)) {
        int64_t due = pace_due(&load->pace, now);
        if (due > now)
            return due;
        if (!(l = free_link(load)))
            return -1;
        submit(l, due);
    }
    return load->unanswered ? -1 : wind_up(load, now);
}

static void report(struct load *load)
{
    struct buffer out = {0};
    double seconds = (double)(load->last_answer - load->pace.start) / 1e9;
    uint64_t answered = load->ok + load->refused;
    buffer_print(&out,
                 "{\"tool\": \"smppload\", \"sent\": %" PRIu64 ", \"ok\": %" PRIu64 ", \"failed\": %" PRIu64
                 ", \"other\": 0, \"unanswered\": %" PRIu64 ", \"messages\": %" PRIu64 ", \"statuses\": {",
                 load->pace.issued, load->ok, load->refused, load->pace.issued - answered, load->ok);
    for (int i = 0; i < STATUSES && load->statuses[i].count; i++)
        buffer_print(&out, "%s\"0x%x\": %" PRIu64, i ? ", " : "", (unsigned)load->statuses[i].status,
                     load->statuses[i].count);
    buffer_print(&out,
                 "}, \"receipts\": %" PRIu64 ", \"receipts_distinct\": %" PRIu64 ", \"receipts_repeats\": %" PRIu64
                 ", \"receipts_mismatched\": %" PRIu64 ", \"receipts_early\": %" PRIu64
                 ", \"receipts_rate\": %.1f, ",
                 load->receipts.total, load->receipts.distinct, load->receipts.repeats,
                 load->receipts_mismatched, load->receipts_early, tally_rate(&load->receipts));
    buffer_print(&out,
                 "\"first\": %" PRIu64 ", \"lost_links\": %" PRIu64 ", \"timed_out\": %s, \"seconds\": %.4f, "
                 "\"rate\": %.1f, \"cpu_s\": %.4f, \"latency_us\": ",
                 load->first, load->lost_links, load->loop.timed_out ? "true" : "false", seconds,
                 seconds > 0 ? (double)answered / seconds : 0.0, cpu_seconds());
    histogram_json(&load->latency, &out);
    buffer_print(&out, "}\n");
    fwrite(buffer_head(&out), 1, buffer_size(&out), stdout);
    if (load->map_path && !tally_write(&load->accepted, load->map_path, load->first + load->pace.issued))
        perror(load->map_path);
}

static void build_image(struct load *load, const char *text, const char *destination, const char *sender)
{
    struct image address = {0}, content = {0};
    struct buffer pdu = {0};
    image_add(&address, destination);
    image_add(&content, text);
    if (buffer_size(&content.bytes) > 160 || buffer_size(&address.bytes) > 20 || strlen(sender) > 20) {
        fputs("smppload: one part of at most 160 characters, addresses of at most 20\n", stderr);
        exit(64);
    }
    size_t begin = pdu_begin(&pdu, SUBMIT_SM, 0, 0);
    put_byte(&pdu, 0);               /* service_type */
    buffer_put(&pdu, "\x05\x00", 2); /* alphanumeric */
    put_string(&pdu, sender, strlen(sender));
    buffer_put(&pdu, "\x01\x01", 2); /* international, E.164 */
    buffer_put(&load->image.bytes, buffer_head(&pdu), buffer_size(&pdu));
    image_join(&load->image, &address);
    pdu.head = pdu.tail = 0;
    buffer_put(&pdu, "\0\0\0\0\0\0", 6); /* end of the address, esm_class .. validity_period */
    put_byte(&pdu, load->wants_receipts);
    buffer_put(&pdu, "\0\0\0", 3); /* replace_if_present_flag, data_coding, sm_default_msg_id */
    put_byte(&pdu, (uint8_t)buffer_size(&content.bytes));
    buffer_put(&load->image.bytes, buffer_head(&pdu), buffer_size(&pdu));
    image_join(&load->image, &content);
    pdu_end(&load->image.bytes, begin);
    buffer_free(&pdu);
}

static void read_options(struct load *load, int argc, char **argv, double *timeout_s)
{
    static const struct option longer[] = {{"timeout", required_argument, NULL, 'T'},
                                           {"help", no_argument, NULL, 'h'},
                                           {0}};
    const char *text = "Tx{ts} hello", *destination = "791{seq}", *sender = "bench";
    bool counted = false;
    int option;
    while ((option = getopt_long(argc, argv, "H:P:u:k:b:W:n:D:R:f:d:o:rL:s:m:h", longer, NULL)) != -1) {
        switch (option) {
        case 'H': load->host = optarg; break;
        case 'P': load->port = atoi(optarg); break;
        case 'u': load->system_id = optarg; break;
        case 'k': load->password = optarg; break;
        case 'b': load->link_count = (unsigned)atoi(optarg); break;
        case 'W': load->window = (unsigned)atoi(optarg); break;
        case 'n': load->pace.total = strtoull(optarg, NULL, 10); counted = true; break;
        case 'D': load->pace.seconds = atof(optarg); break;
        case 'R': load->pace.rate = atof(optarg); break;
        case 'f': text = optarg; break;
        case 'd': destination = optarg; break;
        case 'o': sender = optarg; break;
        case 'r': load->wants_receipts = true; break;
        case 'L': load->patience_s = atof(optarg); break;
        case 's': load->first = strtoull(optarg, NULL, 10); break;
        case 'm': load->map_path = optarg; break;
        case 'T': *timeout_s = atof(optarg); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(64);
        }
    }
    if (optind != argc || !load->link_count || !load->window || load->window > SLOTS / 2) {
        fputs(usage, stderr);
        exit(64);
    }
    if (!counted && load->pace.seconds > 0)
        load->pace.total = 0;
    build_image(load, text, destination, sender);
}

int main(int argc, char **argv)
{
    struct load *load = must_have(calloc(1, sizeof *load));
    double timeout_s = 120;
    *load = (struct load){.pace.total = 1000, .link_count = 1, .window = 50, .host = "127.0.0.1",
                          .port = 2775, .system_id = "bench", .password = "bench", .patience_s = 10};
    read_options(load, argc, argv, &timeout_s);
    tally_open(&load->accepted);
    tally_open(&load->receipts);
    load->loop.turn = turn;
    load->loop.owner = load;
    loop_open(&load->loop, timeout_s);
    load->links = must_have(calloc(load->link_count, sizeof *load->links));
    for (unsigned i = 0; i < load->link_count; i++) {
        load->links[i] = must_have(calloc(1, sizeof **load->links));
        load->links[i]->load = load;
        load->links[i]->stream = stream_connect(&load->loop, load->host, load->port, &events, load->links[i]);
    }
    loop_run(&load->loop);
    report(load);
    bool complete = load->pace.start && !load->loop.timed_out && load->pace.issued == load->ok + load->refused;
    return !complete;
}
