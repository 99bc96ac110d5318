// WebSocket peers that know nothing of ferry, on ws of npm (Debian's node-ws). Used as websocket_peer.py is, without
// the name of a library:
//
//   node websocket_peer.js serve [--deflate] [--tls PEM] [--protocol NAME]
//   node websocket_peer.js talk URL [--deflate] [--ca PEM] [--protocol NAME] [--origin ORIGIN] [--close CODE REASON]
'use strict';

const fs = require('fs');
const https = require('https');
const http = require('http');
const WebSocket = require(fs.existsSync('/usr/share/nodejs/ws') ? '/usr/share/nodejs/ws' : 'ws');

const maxPayload = 17 << 20;
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20];

const say = (line) => fs.writeSync(1, line.trimEnd() + '\n');

function check(good, what) {
  if (!good) throw new Error(what);
}

function payload(size) {
  const made = Buffer.alloc(size);
  for (let i = 0; i < size; ++i) {
    const j = i % 4096;
    made[i] = (j * 7 + Math.floor(j / 251)) % 256;
  }
  return made;
}

const text = (size) => 'é'.repeat(size >> 1) + 'x'.repeat(size & 1);

function wishes(args) {
  const wish = { role: args.shift(), close: [1000, ''] };
  if (wish.role === 'talk') wish.url = args.shift();
  while (args.length > 0) {
    const name = args.shift().slice(2);
    if (name === 'deflate') wish.deflate = true;
    else if (name === 'close') wish.close = [Number(args.shift()), args.shift()];
    else wish[name] = args.shift();
  }
  return wish;
}

const deflates = (socket) => socket.extensions.includes('permessage-deflate');

function sendParts(socket, parts, binary) {
  parts.forEach((part, at) => socket.send(part, { fin: at === parts.length - 1, binary }));
}

// Serving ------------------------------------------------------------------------------------------------------------

function obey(socket, words) {
  if (words[1] === 'close') socket.close(Number(words[2]), words.slice(3).join(' '));
  else if (words[1] === 'ping') {
    socket.once('pong', () => socket.send('pong came'));
    socket.ping('are you there');
  } else sendParts(socket, ['one ', 'two ', 'three'], false);
}

function serve(wish) {
  const server = wish.tls
    ? https.createServer({ cert: fs.readFileSync(wish.tls), key: fs.readFileSync(wish.tls) })
    : http.createServer();
  const sockets = new WebSocket.Server({
    server,
    maxPayload,
    perMessageDeflate: wish.deflate ? { threshold: 0 } : false,
    handleProtocols: (offered) => (offered.has(wish.protocol) ? wish.protocol : false),
  });
  sockets.on('connection', (socket) => {
    check(deflates(socket) === Boolean(wish.deflate), 'compression: ' + socket.extensions);
    socket.on('message', (data, binary) => {
      const words = binary ? [] : data.toString().split(' ');
      if (words[0] === 'please') obey(socket, words);
      else socket.send(data, { binary });
    });
    socket.on('error', (failed) => say('failed ' + failed.message));
    socket.on('close', (code, reason) => say(`closed ${code} ${reason}`));
  });
  server.listen(0, '127.0.0.1', () => say('listening on ' + server.address().port));
  process.stdin.resume();
  process.stdin.on('end', () => process.exit(0));
}

// Talking ------------------------------------------------------------------------------------------------------------

async function converse(socket) {
  const arrived = [];
  let waiting = null;
  socket.on('message', (data, binary) => {
    arrived.push({ data, binary });
    if (waiting) waiting();
  });
  const receive = async () => {
    while (arrived.length === 0) await new Promise((come) => (waiting = come));
    return arrived.shift();
  };
  const expect = async (data, binary, what) => {
    const got = await receive();
    check(got.binary === binary && got.data.equals(Buffer.from(data)), what);
  };
  for (const size of sizes) {
    socket.send(text(size));
    await expect(text(size), false, `echo of ${size} bytes of text`);
    socket.send(payload(size));
    await expect(payload(size), true, `echo of ${size} bytes`);
  }
  const large = payload(16 << 20);
  socket.send(large);
  await expect(large, true, 'echo of 16 MiB');
  sendParts(socket, ['fr', 'ag', '', 'ments'], false);
  await expect('fragments', false, 'text in fragments');
  const parts = [Buffer.from([0xff]), payload(70000), Buffer.from([0xfe])];
  sendParts(socket, parts, true);
  await expect(Buffer.concat(parts), true, 'binary in fragments');
  for (let many = 0; many < 200; ++many) socket.send(String(many));
  for (let many = 0; many < 200; ++many) await expect(String(many), false, `message ${many} of a burst`);
  for (const ping of ['', 'ping', 'p'.repeat(125)]) {
    const pong = new Promise((come) => socket.once('pong', come));
    socket.ping(ping);
    check((await pong).toString() === ping, 'pong');
  }
}

function talk(wish) {
  const socket = new WebSocket(wish.url, wish.protocol ? [wish.protocol] : [], {
    maxPayload,
    perMessageDeflate: wish.deflate ? { threshold: 0 } : false,
    origin: wish.origin,
    ca: wish.ca && fs.readFileSync(wish.ca),
  });
  socket.on('unexpected-response', (request, response) => {
    say('refused ' + response.statusCode);
    process.exit(0);
  });
  socket.on('error', (failed) => {
    throw failed;
  });
  socket.on('close', (code, reason) => say(`closed ${code} ${reason}`));
  socket.on('open', async () => {
    check(deflates(socket) === Boolean(wish.deflate), 'compression: ' + socket.extensions);
    check(socket.protocol === (wish.protocol || ''), 'subprotocol ' + socket.protocol);
    await converse(socket);
    socket.close(...wish.close);
  });
}

function failed(reason) {
  fs.writeSync(2, (reason.stack || reason) + '\n');
  process.exit(1);
}
process.on('uncaughtException', failed);
process.on('unhandledRejection', failed);

const wish = wishes(process.argv.slice(2));
(wish.role === 'serve' ? serve : talk)(wish);
