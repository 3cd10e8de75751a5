/* The message centre: sessions, answers that wait for the operator's latency, receipts that wait for their delay
 * and for room in the deliver_sm window. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "pdu.h"
#include "sink.h"

#define TEXT_IN_RECEIPT 20
#define RETRY_NS NS_PER_S
#define ID_DIGITS 20

struct answer {
    int64_t due;
    uint64_t id;
    uint32_t sequence, status;
};

struct receipt {
    int64_t due;
    uint64_t id;
    uint32_t sequence;
    bool answered;
    uint8_t text_length;
    char source[22], destination[22], system_id[17], text[TEXT_IN_RECEIPT];
};

struct session {
    struct stream *stream;
    struct sink *sink;
    struct session *next;
    bool may_submit, may_receive;
    char system_id[17];
    struct ring answers;
    struct ring receipts; /* the first `sent` are on their way, in order of their sequence numbers */
    size_t sent, unanswered;
    uint32_t next_sequence;
};

static void copy_text(char *to, size_t room, struct slice from)
{
    size_t length = from.length < room - 1 ? from.length : room - 1;
    memcpy(to, from.bytes, length);
    to[length] = 0;
}

static void answer_submit(struct session *s, const struct answer *a)
{
    char id[ID_DIGITS + 1];
    struct buffer *out = &s->stream->out;
    size_t begin = pdu_begin(out, SUBMIT_SM | RESPONSE, a->status, a->sequence);
    if (a->status == ESME_ROK)
        put_string(out, id, (size_t)snprintf(id, sizeof id, "%" PRIu64, a->id));
    pdu_end(out, begin);
    stream_touch(s->stream);
}

/* The session that gets the receipts of a submitter: itself, or a receiver of the same system_id. */
static struct session *receiver_for(struct session *submitter)
{
    if (submitter->may_receive)
        return submitter;
    for (struct session *s = submitter->sink->sessions; s; s = s->next)
        if (s->may_receive && !strcmp(s->system_id, submitter->system_id))
            return s;
    return NULL;
}

static void queue_receipt(struct session *s, const struct message *m, uint64_t id, int64_t due)
{
    struct session *receiver = receiver_for(s);
    struct receipt *r = ring_push(receiver ? &receiver->receipts : &s->sink->orphans);
    *r = (struct receipt){.due = due, .id = id};
    copy_text(r->source, sizeof r->source, m->destination);
    copy_text(r->destination, sizeof r->destination, m->source);
    memcpy(r->system_id, s->system_id, sizeof r->system_id);
    r->text_length = (uint8_t)(m->text.length < TEXT_IN_RECEIPT ? m->text.length : TEXT_IN_RECEIPT);
    memcpy(r->text, m->text.bytes, r->text_length);
}

static void take_submit(struct session *s, const struct pdu *pdu, int64_t now)
{
    struct sink *sink = s->sink;
    struct settings *set = &sink->settings;
    struct message m;
    struct answer a = {.due = now + set->latency * NS_PER_MS, .sequence = pdu->sequence};
    sink->counters.submits++;
    if (!s->may_submit) {
        a.status = ESME_RINVBNDSTS;
    } else if (!message_parse(pdu, &m)) {
        a.status = ESME_RINVMSGLEN;
        sink->counters.unreadable++;
    } else if (set->throttle > 0 && sink->counters.submits % (uint64_t)set->throttle == 0) {
        a.status = ESME_RTHROTTLED;
        sink->counters.throttled++;
    } else {
        a.id = ++sink->next_id;
        tally_add(&sink->arrivals, number_of(m.destination.bytes, m.destination.length), now);
        int64_t sent_at = stamp_read(m.text.bytes, m.text.length);
        if (sent_at >= 0)
            histogram_add(&sink->latency, now - sent_at);
        if (set->delay >= 0 && (m.registered_delivery & 3) == 1)
            queue_receipt(s, &m, a.id, a.due + set->delay * NS_PER_MS);
    }
    if (a.due <= now && !s->answers.count) {
        answer_submit(s, &a);
        return;
    }
    *(struct answer *)ring_push(&s->answers) = a;
    if (s->answers.count > sink->counters.waiting_max)
        sink->counters.waiting_max = s->answers.count;
}

static void adopt_orphans(struct session *s)
{
    struct ring *orphans = &s->sink->orphans;
    for (size_t left = orphans->count; left; left--) {
        struct receipt r = *(struct receipt *)ring_at(orphans, 0);
        ring_pop(orphans);
        bool ours = !strcmp(r.system_id, s->system_id);
        *(struct receipt *)ring_push(ours ? &s->receipts : orphans) = r;
    }
}

static void take_bind(struct session *s, const struct pdu *pdu)
{
    struct buffer *out = &s->stream->out;
    bool again = s->may_submit || s->may_receive;
    struct slice system_id = pdu_first_string(pdu);
    size_t begin = pdu_begin(out, pdu->command | RESPONSE, again ? ESME_RINVBNDSTS : ESME_ROK, pdu->sequence);
    put_string(out, "sink", 4);
    pdu_end(out, begin);
    if (again)
        return;
    if (system_id.bytes)
        copy_text(s->system_id, sizeof s->system_id, system_id);
    s->may_submit = pdu->command != BIND_RECEIVER;
    s->may_receive = pdu->command != BIND_TRANSMITTER;
    if (s->may_receive)
        adopt_orphans(s);
}

static void take_deliver_answer(struct session *s, const struct pdu *pdu, int64_t now)
{
    if (!s->sent)
        return;
    struct receipt *first = ring_at(&s->receipts, 0);
    size_t index = pdu->sequence - first->sequence;
    if (index >= s->sent)
        return;
    struct receipt *r = ring_at(&s->receipts, index);
    if (r->answered)
        return;
    r->answered = true;
    s->unanswered--;
    if (pdu->status == ESME_ROK) {
        s->sink->counters.receipts_answered++;
    } else { /* an operator tries again, behind the others */
        struct receipt again = *r;
        s->sink->counters.receipts_refused++;
        again.answered = false;
        again.due = now + RETRY_NS;
        *(struct receipt *)ring_push(&s->receipts) = again;
    }
    while (s->sent && ((struct receipt *)ring_at(&s->receipts, 0))->answered) {
        ring_pop(&s->receipts);
        s->sent--;
    }
}

static void take_pdu(struct session *s, const struct pdu *pdu, int64_t now)
{
    struct buffer *out = &s->stream->out;
    switch (pdu->command) {
    case SUBMIT_SM:
        take_submit(s, pdu, now);
        return;
    case DELIVER_SM | RESPONSE:
        take_deliver_answer(s, pdu, now);
        return;
    case BIND_RECEIVER:
    case BIND_TRANSMITTER:
    case BIND_TRANSCEIVER:
        take_bind(s, pdu);
        break;
    case ENQUIRE_LINK:
        pdu_bare(out, ENQUIRE_LINK | RESPONSE, ESME_ROK, pdu->sequence);
        break;
    case UNBIND:
        pdu_bare(out, UNBIND | RESPONSE, ESME_ROK, pdu->sequence);
        s->stream->close_when_flushed = true;
        break;
    default:
        if (!(pdu->command & RESPONSE))
            pdu_bare(out, GENERIC_NACK, ESME_RINVCMDID, pdu->sequence);
    }
    stream_touch(s->stream);
}

static void smpp_received(struct stream *stream)
{
    struct session *s = stream->owner;
    struct pdu pdu;
    int used;
    while ((used = pdu_next(buffer_head(&stream->in), buffer_size(&stream->in), &pdu)) > 0) {
        take_pdu(s, &pdu, stream->read_at);
        buffer_take(&stream->in, (size_t)used);
    }
    if (used < 0)
        stream_close(stream, 0);
}

static void send_receipt(struct session *s, struct receipt *r, const char *date)
{
    struct buffer *out = &s->stream->out;
    char id[ID_DIGITS + 1], text[200];
    uint8_t state = STATE_DELIVERED;
    int id_length = snprintf(id, sizeof id, "%" PRIu64, r->id);
    /* The customary layout of SMPP 3.4, appendix B. */
    int length = snprintf(text, sizeof text,
                          "id:%s sub:001 dlvrd:001 submit date:%s done date:%s stat:DELIVRD err:000 text:%.*s",
                          id, date, date, r->text_length, r->text);
    r->sequence = ++s->next_sequence;
    size_t begin = pdu_begin(out, DELIVER_SM, 0, r->sequence);
    put_byte(out, 0);                          /* service_type */
    buffer_put(out, "\x01\x01", 2);            /* international, E.164 */
    put_string(out, r->source, strlen(r->source));
    buffer_put(out, "\x00\x00", 2);
    put_string(out, r->destination, strlen(r->destination));
    put_byte(out, ESM_RECEIPT);
    buffer_put(out, "\0\0\0\0\0\0\0\0", 8);    /* protocol_id .. sm_default_msg_id */
    put_byte(out, (uint8_t)length);
    buffer_put(out, text, (size_t)length);
    put_tlv(out, RECEIPTED_MESSAGE_ID, id, (size_t)id_length + 1);
    put_tlv(out, MESSAGE_STATE, &state, 1);
    pdu_end(out, begin);
    s->sink->counters.receipts_sent++;
    stream_touch(s->stream);
}

/* YYMMDDhhmm, computed once a second. */
static const char *receipt_date(int64_t now)
{
    static char date[11];
    static int64_t second = -1;
    if (now / NS_PER_S != second) {
        time_t wall = time(NULL);
        struct tm utc;
        gmtime_r(&wall, &utc);
        strftime(date, sizeof date, "%y%m%d%H%M", &utc);
        second = now / NS_PER_S;
    }
    return date;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

static int64_t session_turn(struct session *s, int64_t now)
{
    int64_t next = -1;
    while (s->answers.count) {
        struct answer *a = ring_at(&s->answers, 0);
        if (a->due > now) {
            next = a->due;
            break;
        }
        answer_submit(s, a);
        ring_pop(&s->answers);
    }
    while (s->sent < s->receipts.count && (int64_t)s->unanswered < s->sink->settings.window) {
        struct receipt *r = ring_at(&s->receipts, s->sent);
        if (r->due > now)
            return earlier(next, r->due);
        send_receipt(s, r, receipt_date(now));
        s->sent++;
        s->unanswered++;
    }
    return next; /* with a full window the next deliver_sm_resp wakes us */
}

int64_t sink_smpp_turn(struct sink *sink, int64_t now)
{
    int64_t next = -1;
    for (struct session *s = sink->sessions; s; s = s->next)
        next = earlier(next, session_turn(s, now));
    return next;
}

void sink_smpp_count(const struct sink *sink, unsigned *bound, uint64_t *receipts_waiting)
{
    *bound = 0;
    *receipts_waiting = sink->orphans.count;
    for (const struct session *s = sink->sessions; s; s = s->next) {
        *bound += s->may_submit || s->may_receive;
        *receipts_waiting += s->receipts.count - (s->sent - s->unanswered);
    }
}

static void smpp_accepted(struct stream *fresh, void *owner)
{
    struct sink *sink = owner;
    struct session *s = must_have(calloc(1, sizeof *s));
    sink->orphans.item_size = sizeof(struct receipt);
    s->stream = fresh;
    s->sink = sink;
    s->answers.item_size = sizeof(struct answer);
    s->receipts.item_size = sizeof(struct receipt);
    s->next = sink->sessions;
    sink->sessions = s;
    fresh->owner = s;
}

static void smpp_closed(struct stream *stream, int error)
{
    (void)error;
    struct session *s = stream->owner, **link = &s->sink->sessions;
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    for (; s->receipts.count; ring_pop(&s->receipts)) {
        struct receipt r = *(struct receipt *)ring_at(&s->receipts, 0);
        if (!r.answered)
            *(struct receipt *)ring_push(&s->sink->orphans) = r;
    }
    for (struct session *other = s->sink->sessions; other; other = other->next)
        if (other->may_receive && !strcmp(other->system_id, s->system_id)) {
            adopt_orphans(other);
            break;
        }
    ring_free(&s->answers);
    ring_free(&s->receipts);
    free(s);
}

const struct stream_events sink_smpp_events = {
    .accepted = smpp_accepted, .received = smpp_received, .closed = smpp_closed};
