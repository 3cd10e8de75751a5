// Loaded before a Node.js program: the service's host names are this machine for it, at the
// narrowest place there is: where a socket connects. Any other host stops the program. TLS still
// checks the certificate against the name that the client believes it talks to.
const net = require('net');

const HOSTS = new Set(['smsc.ru', 'www.smsc.ru', 'www2.smsc.ru']);
const ports = JSON.parse(process.env.LEAD_HERE);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (...args) {
  const options = Array.isArray(args[0]) ? args[0][0] : args[0];
  if (options && typeof options === 'object' && options.port) {
    if (!HOSTS.has(options.host)) {
      throw new Error(`a test never leaves this machine: ${options.host}`);
    }
    options.servername = options.servername || options.host;
    options.host = '127.0.0.1';
    options.port = ports[options.port];
  }
  return connect.apply(this, args);
};
