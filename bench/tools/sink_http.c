/* The receiver of callbacks: counts messages by the phone number of a form, answers 200 to everything. */
#include <string.h>

#include "http.h"
#include "sink.h"

/* Jasmin calls again and again until it reads just these words; the others look at the status only. */
static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nACK/Jasmin";

static void http_accepted(struct stream *fresh, void *sink)
{
    fresh->owner = sink;
}

static void count_callback(struct sink *sink, const struct http_message *m, int64_t now)
{
    const uint8_t *pairs = m->body;
    size_t length = m->body_length, phone_length, status_length;
    if (!length) { /* a GET brings the same names in the query string */
        const uint8_t *query = memchr(m->start, '?', m->start_length);
        if (query) {
            pairs = query + 1;
            length = m->start_length - (size_t)(pairs - m->start);
            const uint8_t *space = memchr(pairs, ' ', length);
            length = space ? (size_t)(space - pairs) : length;
        }
    }
    sink->counters.http_requests++;
    const uint8_t *phone = form_value(pairs, length, "phone", &phone_length);
    const uint8_t *status = form_value(pairs, length, "status", &status_length);
    tally_add(&sink->callbacks, phone ? number_of(phone, phone_length) : -1, now);
    if (status && status_length == 1 && *status == '1')
        sink->counters.callbacks_delivered++;
}

static void http_received(struct stream *s)
{
    struct http_message m;
    long used;
    while ((used = http_next(buffer_head(&s->in), buffer_size(&s->in), &m)) > 0) {
        count_callback(s->owner, &m, s->read_at);
        buffer_put(&s->out, answer, sizeof answer - 1);
        s->close_when_flushed |= m.close;
        buffer_take(&s->in, (size_t)used);
    }
    if (used < 0)
        stream_close(s, 0);
    else
        stream_touch(s);
}

const struct stream_events sink_http_events = {.accepted = http_accepted, .received = http_received};
