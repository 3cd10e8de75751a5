// A program that uses the npm package smsc-ru as its README does; prints the balances around it.
const [login, password, phone] = process.argv.slice(2);
const smsc = require('smsc-ru');

smsc.balance(login, password, (before) => {
  smsc.sms(login, password, phone, 'message', () => {
    smsc.call(login, password, phone, 'call me', () => {
      smsc.balance(login, password, (after) => {
        console.log(JSON.stringify({ before, after }));
      });
    });
  });
});
