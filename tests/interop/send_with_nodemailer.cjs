// Sends the mails of a JSON list (options of nodemailer, one transport) and prints the replies.
"use strict";

const { readFileSync } = require("node:fs");
const { createTransport } = require("nodemailer");

async function main() {
  const { transport, mails } = JSON.parse(readFileSync(0, "utf8"));
  const door = createTransport(transport);
  const replies = [];
  for (const mail of mails) {
    try {
      replies.push((await door.sendMail(mail)).response);
    } catch (error) {
      replies.push(error.response || String(error));
    }
  }
  door.close();
  console.log(JSON.stringify(replies));
}

main();
