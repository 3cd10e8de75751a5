// Calls operations of the service described by a WSDL, one after the other, and prints the results.
"use strict";

const { readFileSync } = require("node:fs");
const soap = require("soap");

async function main() {
  const { wsdl, calls, options } = JSON.parse(readFileSync(0, "utf8"));
  const client = await soap.createClientAsync(wsdl, options);
  const results = [];
  for (const [operation, fields] of calls) {
    const [result] = await client[operation + "Async"](fields);
    results.push(result);
  }
  console.log(JSON.stringify({ description: client.describe(), results }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
