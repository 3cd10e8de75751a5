// A client made of npm's smpp: binds, sends, takes receipts, asks and cancels. Prints one JSON line.
const smpp = require('smpp');

const [port, login, password] = process.argv.slice(2);
const told = { ids: {}, receipts: [], statuses: {} };
const session = smpp.connect({ url: `smpp://127.0.0.1:${port}` });
const ask = (method, fields) =>
    new Promise((resolve) => session[method](fields, resolve));

session.on('deliver_sm', (pdu) => {
    const message = pdu.short_message.message;
    told.receipts.push({
        id: String(pdu.receipted_message_id),
        text: message instanceof Buffer ? message.toString('latin1') : String(message),
        state: pdu.message_state,
    });
    session.send(pdu.response());
});
session.on('error', (error) => {
    console.error(error);
    process.exit(1);
});

session.on('connect', async () => {
    const bound = await ask('bind_transceiver', { system_id: login, password });
    told.bound = [bound.command_status, bound.system_id];
    const common = { source_addr: 'node', destination_addr: '79161234567', registered_delivery: 1 };
    const send = async (name, fields, method = 'submit_sm') => {
        const answer = await ask(method, { ...common, ...fields });
        told.statuses[name] = answer.command_status;
        told.ids[name] = answer.message_id;
    };
    await send('short', { short_message: 'Hello @ node {€}' });
    await send('cyrillic', { short_message: 'Привет из ноды' });
    await send('binary', { data_coding: 4, short_message: Buffer.from('000102ff', 'hex') });
    const text = 'All work and no play makes Jack a dull boy. '.repeat(8).trim();
    await send('payload', { message_payload: text });
    const cut = [text.slice(0, 140), text.slice(140, 280), text.slice(280)];
    for (const [at, piece] of cut.entries()) {
        const udh = Buffer.from([5, 0, 3, 42, cut.length, at + 1]);
        await send(`part${at + 1}`, {
            esm_class: 0x40,
            data_coding: 3,
            short_message: Buffer.concat([udh, Buffer.from(piece, 'latin1')]),
        });
    }
    await send('later', { short_message: 'later', schedule_delivery_time: '000000010000000R' });
    const state = await ask('query_sm', { message_id: told.ids.later });
    told.query = [state.command_status, state.message_state];
    const replacement = { registered_delivery: 1, short_message: 'another text' };
    const replaced = await ask('replace_sm', { message_id: told.ids.later, ...replacement });
    told.replaced = replaced.command_status;
    await send('data', { message_payload: 'by data_sm' }, 'data_sm');
    const many = await ask('submit_multi', {
        source_addr: 'node',
        registered_delivery: 1,
        dest_address: ['79161110001', '12', '79161110002'].map((n) => ({ destination_addr: n })),
        short_message: 'to many',
    });
    told.ids.multi = many.message_id;
    const bad = many.unsuccess_sme.map((each) => [each.destination_addr, each.error_status_code]);
    told.multi = [many.command_status, bad];
    told.unknown = [];
    for (const method of ['query_sm', 'cancel_sm', 'replace_sm']) {
        const answer = await ask(method, { message_id: '99999999', short_message: 'x' });
        told.unknown.push(answer.command_status);
    }
    told.cancel = (await ask('cancel_sm', { message_id: told.ids.later })).command_status;
    told.alive = (await ask('enquire_link', {})).command_status;
    const wanted = Object.keys(told.ids).length + 1; // two for the two numbers of submit_multi
    const started = Date.now();
    while (told.receipts.length < wanted && Date.now() - started < 20000) {
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    told.unbound = (await ask('unbind', {})).command_status;
    session.close();
    console.log(JSON.stringify(told));
});
