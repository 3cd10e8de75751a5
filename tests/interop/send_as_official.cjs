// What the official JavaScript library does on the wire: every call is a multipart form whose first
// fields are fmt, login, psw and charset; each chunk that arrives is parsed as a whole JSON text.
const http = require('http');
const FormData = require('form-data');
const [login, password, phone] = process.argv.slice(2);

let chunks = 0;

function call(script, data) {
  const form = new FormData();
  const fields = { fmt: 3, login, psw: password, charset: 'utf-8', ...data };
  for (const [name, value] of Object.entries(fields)) form.append(name, String(value));
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST', host: 'smsc.ru', path: `/sys/${script}.php`, headers: form.getHeaders(),
    };
    const request = http.request(options, (reply) => {
      chunks = 0;
      reply.on('data', (chunk) => { chunks += 1; resolve(JSON.parse(chunk)); });
    });
    request.on('error', reject);
    form.pipe(request);
  });
}

async function main() {
  const sent = await call('send', { phones: phone, mes: 'Привет', cost: 3 });
  const viber = await call('send', { phones: phone, mes: 'Привет', viber: 1 });
  const cost = await call('send', { phones: phone, mes: 'Привет', cost: 1 });
  const status = await call('status', { id: sent.id, phone, all: 2 });
  const balance = await call('balance', { cur: 1 });
  const error = await call('send', { phones: phone });
  console.log(JSON.stringify({ sent, viber, cost, status, balance, error, chunks }));
}

main().catch((error) => { console.error(error); process.exit(1); });
