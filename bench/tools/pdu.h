/* The part of SMPP 3.4 that a benchmark needs: framing (section 3.2), the bodies of submit_sm (4.4.1) and
 * deliver_sm (4.6.1), which share one layout, and writing of PDUs. */
#ifndef BENCH_PDU_H
#define BENCH_PDU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum command {
    GENERIC_NACK = 0x80000000,
    BIND_RECEIVER = 0x01,
    BIND_TRANSMITTER = 0x02,
    SUBMIT_SM = 0x04,
    DELIVER_SM = 0x05,
    UNBIND = 0x06,
    BIND_TRANSCEIVER = 0x09,
    ENQUIRE_LINK = 0x15,
    RESPONSE = 0x80000000
};

enum status {
    ESME_ROK = 0x00,
    ESME_RINVMSGLEN = 0x01,
    ESME_RINVCMDID = 0x03,
    ESME_RINVBNDSTS = 0x04,
    ESME_RTHROTTLED = 0x58
};

enum tag { RECEIPTED_MESSAGE_ID = 0x001E, MESSAGE_PAYLOAD = 0x0424, MESSAGE_STATE = 0x0427 };

#define PDU_HEAD 16
#define PDU_MAX 70000
#define ESM_RECEIPT 0x04
#define ESM_UDH 0x40
#define STATE_DELIVERED 2

struct pdu {
    uint32_t command, status, sequence;
    const uint8_t *body;
    size_t length;
};

struct slice {
    const uint8_t *bytes;
    size_t length;
};

struct message {
    struct slice source, destination, text; /* the text without its user data header */
    struct slice receipted_id;
    uint8_t esm_class, registered_delivery, data_coding;
};

/* Length of the PDU at the start of the bytes, 0 when it is not whole yet, -1 when it can be none. */
int pdu_next(const uint8_t *bytes, size_t length, struct pdu *pdu);

bool message_parse(const struct pdu *pdu, struct message *m);

/* A C-octet string at the start of the body. */
struct slice pdu_first_string(const struct pdu *pdu);

/* pdu_begin ... put_* ... pdu_end(its result) appends one PDU to a buffer. */
size_t pdu_begin(struct buffer *out, uint32_t command, uint32_t status, uint32_t sequence);
void put_byte(struct buffer *out, uint8_t value);
void put_string(struct buffer *out, const void *bytes, size_t length);
void put_tlv(struct buffer *out, uint16_t tag, const void *bytes, size_t length);
void pdu_end(struct buffer *out, size_t begin);

/* A PDU without a body. */
void pdu_bare(struct buffer *out, uint32_t command, uint32_t status, uint32_t sequence);

#endif
