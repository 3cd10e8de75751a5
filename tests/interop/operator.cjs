// An operator made of the npm package "smpp": answers submits and sends receipts as its options say.
// Options (JSON, first argument): answerBase 10|16, receiptBase 10|16, form text|tlv,
// early, twice, reverse (receipts of a burst in reverse order). Prints its port, then one JSON line
// for each submit, receipt answer and session end.
'use strict';

const smpp = require('smpp');

const options = JSON.parse(process.argv[2] || '{}');
let nextId = 0xabc0000;
let burst = [];
let timer = null;

function tell(event) {
  process.stdout.write(JSON.stringify(event) + '\n');
}

function deliver(session, submit, id) {
  const name = id.toString(options.receiptBase || 10);
  const pdu = {
    source_addr: submit.destination_addr,
    destination_addr: submit.source_addr,
    esm_class: 4,
  };
  if (options.form === 'tlv') {
    pdu.receipted_message_id = name;
    pdu.message_state = 2;
    pdu.short_message = '';
  } else {
    pdu.short_message = `id:${name} sub:001 dlvrd:001 submit date:2601011200 ` +
      'done date:2601011201 stat:DELIVRD err:000 text:x';
  }
  session.deliver_sm(pdu, (answer) => tell({event: 'receipt', status: answer.command_status}));
}

function sendBurst() {
  timer = null;
  const ready = options.reverse ? burst.reverse() : burst;
  burst = [];
  for (const send of ready) send();
}

const server = smpp.createServer((session) => {
  session.on('bind_transceiver', (pdu) => {
    const good = pdu.system_id === 'alex' && pdu.password === '123';
    session.send(pdu.response(good ? {system_id: 'operator'} : {command_status: 0x0e}));
  });
  session.on('submit_sm', (pdu) => {
    const id = nextId++;
    const message = pdu.short_message.message || (pdu.message_payload || {}).message || '';
    tell({
      event: 'submit',
      to: pdu.destination_addr,
      ton: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.dest_addr_ton, pdu.dest_addr_npi],
      from: pdu.source_addr,
      coding: pdu.data_coding,
      text: message.toString(),
      udh: pdu.short_message.udh ? pdu.short_message.udh.map((e) => e.toString('hex')) : null,
      sar: pdu.sar_segment_seqnum || 0,
    });
    const answer = () => session.send(
      pdu.response({message_id: id.toString(options.answerBase || 10)}));
    const receipts = () => {
      for (let n = 0; n < (options.twice ? 2 : 1); n++) deliver(session, pdu, id);
    };
    if (options.early) {
      receipts();
      answer();
      return;
    }
    answer();
    burst.push(receipts);
    if (timer === null) timer = setTimeout(sendBurst, 20);
  });
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    tell({event: 'unbind'});
    session.send(pdu.response());
    session.close();
  });
  session.on('error', (error) => tell({event: 'error', text: String(error)}));
});

server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on('end', () => process.exit(0)).resume();
