// The npm package node-smsc with the scripts of address books: prints what it got as JSON.
const [root, login, password] = process.argv.slice(2);
const nodeSmsc = require('node-smsc');
const smsc = nodeSmsc({ login, password, request: root });
const caught = (promise) => promise.then((got) => ({ got }), (error) => ({
  name: error.name, code: error.response && error.response.error_code,
}));

async function keepContacts(phone) {
  const got = {};
  got.first = await smsc.phones({ get_group: 1 });
  got.groups = [];
  for (const name of ['one', 'two', 'three', 'четыре']) {
    got.groups.push((await smsc.phones({ add_group: 1, name })).id);
  }
  got.listed = (await smsc.phones({ get_group: 1 })).map((each) => each.id);
  const [g1, g2, g3, g4] = got.groups;
  got.added = await smsc.phones({
    add: 1, phone, grp: `${g1}`, name: 'Иван', fnm: 'Ivan', lnm: 'Petrov', bd: '17.07.1983',
    myid: 100500, tags: 'a, b', cmt: 'x', pho: '79160000000',
  });
  got.contact = (await smsc.phones({ get: 1, phone }))[0];
  got.moves = [];
  for (const [way, grp] of [[1, g2], [2, g3], [2, g4], [3, g4]]) {
    got.moves.push((await smsc.phones({ move_group: way, phone, grp })).result);
  }
  got.moved = (await smsc.phones({ get: 1, phone }))[0].group;
  got.renamed = await smsc.phones({ chg: 1, phone, new_phone: '79168880002' });
  got.byName = (await smsc.phones({ get: 1, fio: 'petrov' })).map((each) => each.phone);
  got.searched = (await smsc.phones({ get: 1, search: 'ИВАН' })).map((each) => each.phone);
  got.black = await smsc.phones({ add_black: 1, phone, type: 1 });
  got.white = await smsc.phones({ del_black: 1, phone, type: 1 });
  got.sent = await smsc.send({ phones: `G${g2}`, mes: 'to a group' });
  got.deletedGroup = await smsc.phones({ del_group: 1, grp: g2 });
  got.empty = await caught(smsc.phones({ get: 1, grp: g2 }));
  got.deleted = await smsc.phones({ del: 1, phone: '79168880002' });
  got.gone = await caught(smsc.phones({ get: 1, phone: '79168880002' }));
  return got;
}

async function keepTemplates() {
  const got = { empty: await smsc.templates({ get: 1 }) };
  got.added = await smsc.templates({ add: 1, name: 'привет', msg: 'Здравствуйте', format: 'sms' });
  got.changed = await smsc.templates({ chg: 1, id: got.added.id, msg: 'Hello', 'fl[1]': 1 });
  got.listed = await smsc.templates({ get: 1 });
  got.deleted = await smsc.templates({ del: 1, id: got.added.id });
  got.again = await caught(smsc.templates({ del: 1, id: got.added.id }));
  return got;
}

async function keepSubclients() {
  const user = 'client_of_node';
  const got = { none: await smsc.users({ get_stat: 1, reseller: 1, user_id: 999999 }) };
  got.added = await smsc.users({
    add: 1, user, password: 'Abcdef12', fio: 'Пётр', phone: '79168880005', email: 'a@b.c', type: 0,
    'fl[29]': 1, 'fl2[24]': 1, fmts: '7,-77',
  });
  got.paid = await smsc.users({ pay: 1, user, sum: 12.5 });
  const theirs = nodeSmsc({ login: user, password: 'Abcdef12', request: root });
  got.balance = await theirs.balance();
  got.sent = await theirs.send({ phones: '79168880006', mes: 'привет' });
  got.forbidden = await caught(theirs.send({ phones: '77011234567', mes: 'привет' }));
  got.renamed = await smsc.users({ chg: 1, user, new_login: `${user}.2`, notes: 'х' });
  got.stat = await smsc.users({ get_stat: 1, user: `${user}.2` });
  got.details = await smsc.users({ get_stat_all: 1, user_id: got.added.id });
  got.taken = await caught(smsc.users({ pay: 1, user: `${user}.2`, sum: -1000 }));
  got.missing = await caught(smsc.users({ chg: 1, user }));
  return got;
}

async function keepSenders() {
  const got = { first: await smsc.senders({ get: 1 }) };
  const value = Buffer.alloc(300, 7);
  const files = [{ field: 'file', value, options: { filename: 'mark.pdf' } }];
  got.added = await smsc.senders({ add: 1, sender: 'Sigma', cmt: 'магазин' }, { files });
  got.listed = await smsc.senders({ get: 1, all: 1 });
  got.code = await smsc.senders({ send_code: 1, sender: '79168880003' });
  got.wrong = await caught(smsc.senders({ check_code: 1, sender: '79168880003', code: 'x' }));
  got.again = await caught(smsc.senders({ send_code: 1, sender: '79168880003' }));
  got.deleted = await smsc.senders({ del: 1, sender: 'Sigma' });
  got.missing = await caught(smsc.senders({ del: 1, sender: 'Sigma' }));
  return got;
}

async function main() {
  const contacts = await keepContacts('79168880001');
  console.log(JSON.stringify({
    contacts, templates: await keepTemplates(), senders: await keepSenders(),
    subclients: await keepSubclients(),
  }));
}

main().catch((error) => { console.error(error); process.exit(1); });
