// Mailing lists through the npm package node-smsc; prints what it got as JSON.
const [root, login, password, phone] = process.argv.slice(2);
const nodeSmsc = require('node-smsc');
const smsc = nodeSmsc({ login, password, request: root });

async function main() {
  const list = { name: 'Рассылка', phones: `${phone},79031234567`, mes: 'Привет', id: 10 };
  const added = await smsc.jobs({ add: 1, ...list });
  const priced = await smsc.jobs({ add: 1, ...list, cost: 1 });
  const file = { field: 'redsquare', value: Buffer.alloc(300, 7), options: { filename: 'a.jpg' } };
  const mms = await smsc.jobs({ add: 1, ...list, mms: 1, subj: 'picture' }, { files: [file] });
  const planned = await smsc.jobs({ add: 1, ...list, time: '+60', rpt: 2, rptn: 5, 'fl[5]': 1 });
  const cancelled = await smsc.jobs({ cancel: 1, id: planned.id });
  const deleted = await smsc.jobs({ del: 1, id: planned.id });
  const got = await smsc.jobs({ get: 1, id: added.id });
  const all = await smsc.jobs({ get_all: 1 });
  const gone = await smsc.jobs({ get: 1, id: planned.id }).catch((error) => error);
  const wrong = await smsc.jobs({ add: 1 }).catch((error) => error);
  const status = await smsc.status({ id: 10, phone });
  console.log(JSON.stringify({
    added, priced, mms, planned, cancelled, deleted, got, all, status,
    gone: [gone.name, gone.response],
    wrong: [wrong instanceof nodeSmsc.SmscApiError, wrong.response],
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
