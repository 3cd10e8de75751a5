/* Reading and writing of SMPP PDUs. */
#include "pdu.h"

#include <string.h>

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void write_u32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

int pdu_next(const uint8_t *bytes, size_t length, struct pdu *pdu)
{
    if (length < PDU_HEAD)
        return 0;
    uint32_t whole = read_u32(bytes);
    if (whole < PDU_HEAD || whole > PDU_MAX)
        return -1;
    if (length < whole)
        return 0;
    *pdu = (struct pdu){read_u32(bytes + 4), read_u32(bytes + 8), read_u32(bytes + 12),
                        bytes + PDU_HEAD, whole - PDU_HEAD};
    return (int)whole;
}

/* A cursor that turns "too short" into one flag instead of a test at every field. */
struct cursor {
    const uint8_t *at, *end;
    bool broken;
};

static struct slice take(struct cursor *c, size_t length)
{
    if ((size_t)(c->end - c->at) < length) {
        c->broken = true;
        return (struct slice){NULL, 0};
    }
    struct slice s = {c->at, length};
    c->at += length;
    return s;
}

static uint8_t take_byte(struct cursor *c)
{
    struct slice s = take(c, 1);
    return s.bytes ? *s.bytes : 0;
}

static struct slice take_string(struct cursor *c)
{
    const uint8_t *zero = c->broken ? NULL : memchr(c->at, 0, (size_t)(c->end - c->at));
    if (!zero) {
        c->broken = true;
        return (struct slice){NULL, 0};
    }
    struct slice s = {c->at, (size_t)(zero - c->at)};
    c->at = zero + 1;
    return s;
}

static struct slice take_address(struct cursor *c)
{
    take(c, 2); /* type of number, numbering plan */
    return take_string(c);
}

static void read_tlvs(struct cursor *c, struct message *m)
{
    while (c->end - c->at >= 4) {
        unsigned tag = (unsigned)c->at[0] << 8 | c->at[1];
        size_t length = (size_t)c->at[2] << 8 | c->at[3];
        c->at += 4;
        struct slice value = take(c, length);
        if (c->broken)
            return;
        if (tag == MESSAGE_PAYLOAD) {
            m->text = value;
        } else if (tag == RECEIPTED_MESSAGE_ID) {
            m->receipted_id = value;
            if (length && !value.bytes[length - 1])
                m->receipted_id.length--;
        }
    }
}

bool message_parse(const struct pdu *pdu, struct message *m)
{
    struct cursor c = {pdu->body, pdu->body + pdu->length, false};
    memset(m, 0, sizeof *m);
    take_string(&c); /* service_type */
    m->source = take_address(&c);
    m->destination = take_address(&c);
    m->esm_class = take_byte(&c);
    take(&c, 2);     /* protocol_id, priority_flag */
    take_string(&c); /* schedule_delivery_time */
    take_string(&c); /* validity_period */
    m->registered_delivery = take_byte(&c);
    take_byte(&c); /* replace_if_present_flag */
    m->data_coding = take_byte(&c);
    take_byte(&c); /* sm_default_msg_id */
    m->text = take(&c, take_byte(&c));
    if (c.broken)
        return false;
    read_tlvs(&c, m);
    if (m->esm_class & ESM_UDH && m->text.length && m->text.length > m->text.bytes[0]) {
        size_t header = (size_t)m->text.bytes[0] + 1;
        m->text.bytes += header;
        m->text.length -= header;
    }
    return !c.broken;
}

struct slice pdu_first_string(const struct pdu *pdu)
{
    struct cursor c = {pdu->body, pdu->body + pdu->length, false};
    return take_string(&c);
}

size_t pdu_begin(struct buffer *out, uint32_t command, uint32_t status, uint32_t sequence)
{
    uint8_t *head = buffer_reserve(out, PDU_HEAD);
    write_u32(head + 4, command);
    write_u32(head + 8, status);
    write_u32(head + 12, sequence);
    out->tail += PDU_HEAD;
    return buffer_size(out) - PDU_HEAD; /* relative to the head, which stays put while we only append */
}

void put_byte(struct buffer *out, uint8_t value)
{
    buffer_put(out, &value, 1);
}

void put_string(struct buffer *out, const void *bytes, size_t length)
{
    uint8_t *room = buffer_reserve(out, length + 1);
    if (length)
        memcpy(room, bytes, length);
    room[length] = 0;
    out->tail += length + 1;
}

void put_tlv(struct buffer *out, uint16_t tag, const void *bytes, size_t length)
{
    uint8_t head[4] = {(uint8_t)(tag >> 8), (uint8_t)tag, (uint8_t)(length >> 8), (uint8_t)length};
    buffer_put(out, head, sizeof head);
    buffer_put(out, bytes, length);
}

void pdu_end(struct buffer *out, size_t begin)
{
    write_u32(buffer_head(out) + begin, (uint32_t)(buffer_size(out) - begin));
}

void pdu_bare(struct buffer *out, uint32_t command, uint32_t status, uint32_t sequence)
{
    pdu_end(out, pdu_begin(out, command, status, sequence));
}
