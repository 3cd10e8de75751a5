// A program that uses the npm package node-smsc as its README does; prints what it got as JSON.
const [root, login, password, phone] = process.argv.slice(2);
const nodeSmsc = require('node-smsc');
const smsc = nodeSmsc({ login, password, request: root });

async function main() {
  const sent = await smsc.send({ phones: phone, mes: 'Привет из node-smsc', cost: 3 });
  const file = { field: 'file0', value: Buffer.alloc(300, 7), options: { filename: 'a.jpg' } };
  const mms = await smsc.send({ phones: phone, mes: 'picture', mms: 1 }, { files: [file] });
  const several = await smsc.send({ list: `${phone}:one\n79031234567:two`, op: 1 });
  const status = await smsc.status({ id: sent.id, phone, all: 2 });
  const statuses = await smsc.status({ id: `${sent.id},${mms.id}`, phone: `${phone},${phone}` });
  const balance = await smsc.balance({ cur: 1 });
  const refused = await smsc.send({ phones: '123', mes: 'nobody' }).catch((error) => error);
  const deleted = await smsc.status({ id: sent.id, phone, del: 1 });
  const stranger = nodeSmsc({ login, password: 'wrong', request: root });
  const denied = await stranger.balance().catch((error) => error);
  console.log(JSON.stringify({
    sent, mms, several, status, statuses, balance, deleted,
    refused: [refused.name, refused.message, refused.response],
    denied: [denied instanceof nodeSmsc.SmscApiError, denied.response],
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
