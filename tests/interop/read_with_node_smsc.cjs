// The npm package node-smsc with the scripts of data: prints what it got as JSON.
const [root, login, password, phone] = process.argv.slice(2);
const nodeSmsc = require('node-smsc');
const smsc = nodeSmsc({ login, password, request: root });
const caught = (promise) => promise.catch((error) => error.response.error_code);

function read(stream) {
  return new Promise((resolve, reject) => {
    let text = '';
    stream.on('data', (piece) => { text += piece; });
    stream.on('end', () => resolve(text));
    stream.on('error', reject);
  });
}

async function main() {
  await smsc.send({ phones: phone, mes: 'history, with a comma' });
  const messages = await smsc.get({ get_messages: 1, phone, cnt: 1 });
  const none = await smsc.get({ get_messages: 1, start: '01.01.2020', end: '02.01.2020' });
  const answers = await smsc.get({ get_answers: 1, hour: 10 });
  const stat = await smsc.get({ get_stat: 1, start: '01.01.2026' });
  const price = await smsc.get({ get_price: 1 });
  const mega = await smsc.get({ get_mega_accounts: 1 });
  const senders = await smsc.get({ get_senders: 1 });
  const operator = await smsc.info({ get_operator: 1, phone: '79161234567' });
  const unknown = await caught(smsc.info({ get_operator: 1, phone: '1' }));
  const changes = await smsc.get_mnp({ date: '01.01.2026' });
  const whole = await read(await smsc.get_mnp());
  const numbers = await smsc.receive_phones({ get: 1 });
  const missing = await caught(smsc.receive_phones({ buy: 1, phone: '79990000000' }));
  console.log(JSON.stringify({
    messages, none, answers, stat, price, mega, senders, operator, unknown, changes, whole,
    numbers, missing,
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
