/* Just enough of HTTP/1.1 to talk to a server or a client that keeps its connections: one message at a time, with
 * Content-Length or chunked framing (RFC 9112, sections 6 and 7). */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_message {
    const uint8_t *start; /* the first line, without its line end */
    size_t start_length;
    uint8_t *body;
    size_t body_length;
    int status; /* of an answer; 0 for a request */
    bool close; /* the sender will close the connection after it */
};

/* Length of the message at the start of the bytes, 0 when it is not whole yet, -1 when it cannot be read.
 * A chunked body is joined in place once it is whole. */
long http_next(uint8_t *bytes, size_t length, struct http_message *message);

/* The value of `name` in a&b=c pairs (a body or a query string), not decoded; NULL when absent. */
const uint8_t *form_value(const uint8_t *pairs, size_t length, const char *name, size_t *value_length);

#endif
