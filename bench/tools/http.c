/* Reading of HTTP/1.1 messages. */
#include "http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct framing {
    bool chunked, close;
    size_t length;
};

static bool is_header(const char *line, size_t line_length, const char *name)
{
    size_t length = strlen(name);
    return line_length > length && line[length] == ':' && !strncasecmp(line, name, length);
}

static bool mentions(const char *value, size_t length, const char *word)
{
    size_t word_length = strlen(word);
    for (size_t i = 0; i + word_length <= length; i++)
        if (!strncasecmp(value + i, word, word_length))
            return true;
    return false;
}

static void read_header(const char *line, size_t length, struct framing *framing)
{
    if (is_header(line, length, "content-length"))
        framing->length = strtoul(line + sizeof "content-length:" - 1, NULL, 10);
    else if (is_header(line, length, "transfer-encoding"))
        framing->chunked = mentions(line, length, "chunked");
    else if (is_header(line, length, "connection"))
        framing->close = mentions(line, length, "close");
}

/* Walks the chunks; joins them when `join`. Length of the chunked body on the wire, 0 not whole, -1 broken. */
static long walk_chunks(uint8_t *body, size_t length, bool join, size_t *joined)
{
    size_t at = 0;
    *joined = 0;
    for (;;) {
        uint8_t *end = memmem(body + at, length - at, "\r\n", 2);
        if (!end)
            return 0;
        char *digits_end;
        size_t size = strtoul((char *)body + at, &digits_end, 16);
        if (digits_end == (char *)body + at || size > 1u << 30)
            return -1;
        size_t data = (size_t)(end - body) + 2;
        if (length - data < size + 2)
            return 0;
        if (!size)
            return memcmp(body + data, "\r\n", 2) ? -1 : (long)data + 2; /* trailers are not expected */
        if (join)
            memmove(body + *joined, body + data, size);
        *joined += size;
        at = data + size + 2;
    }
}

long http_next(uint8_t *bytes, size_t length, struct http_message *message)
{
    uint8_t *blank = memmem(bytes, length, "\r\n\r\n", 4);
    if (!blank)
        return length > 65536 ? -1 : 0;
    size_t head = (size_t)(blank - bytes) + 4;
    struct framing framing = {0};
    uint8_t *line_end = memmem(bytes, head, "\r\n", 2);
    *message = (struct http_message){.start = bytes, .start_length = (size_t)(line_end - bytes)};
    for (uint8_t *line = line_end + 2; line < blank; line = line_end + 2) {
        line_end = memmem(line, (size_t)(bytes + head - line), "\r\n", 2);
        read_header((char *)line, (size_t)(line_end - line), &framing);
    }
    if (message->start_length > 12 && !memcmp(bytes, "HTTP/1.", 7))
        message->status = atoi((char *)bytes + 9);
    message->close = framing.close;
    message->body = bytes + head;
    if (!framing.chunked) {
        message->body_length = framing.length;
        return length - head < framing.length ? 0 : (long)(head + framing.length);
    }
    long whole = walk_chunks(message->body, length - head, false, &message->body_length);
    if (whole <= 0)
        return whole;
    walk_chunks(message->body, length - head, true, &message->body_length);
    return (long)head + whole;
}

const uint8_t *form_value(const uint8_t *pairs, size_t length, const char *name, size_t *value_length)
{
    size_t name_length = strlen(name);
    const uint8_t *end = pairs + length;
    for (const uint8_t *pair = pairs; pair < end;) {
        const uint8_t *next = memchr(pair, '&', (size_t)(end - pair));
        if (!next)
            next = end;
        if ((size_t)(next - pair) > name_length && pair[name_length] == '=' &&
            !memcmp(pair, name, name_length)) {
            *value_length = (size_t)(next - pair) - name_length - 1;
            return pair + name_length + 1;
        }
        pair = next + 1;
    }
    return NULL;
}
