import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { afterEach, beforeEach, test } from 'node:test';
import { GatewayClient, GatewayError } from '../dist/index.js';
import { command, FakeGateway, message, WebSocket } from './fake_gateway.mjs';

let gateway;
let clients;
beforeEach(async () => {
  gateway = await FakeGateway.open();
  clients = [];
});
afterEach(async () => {
  for (const one of clients) one.close();
  await gateway.close();
});

function client(options = {}) {
  const made = new GatewayClient(gateway.url, { WebSocket, pingInterval: 0, reconnect: false, ...options });
  clients.push(made);
  return made;
}
const text = (bytes) => Buffer.from(bytes).toString();
const fails = (promise, code) =>
  assert.rejects(promise, (why) => why instanceof GatewayError && (assert.equal(why.code, code), true));

async function dialled(asking, there, number, remote = 7) {
  const made = asking.dial(remote);
  assert.deepEqual(await there.next(), command('dial', remote));
  there.say(command('accept', number, remote));
  return made;
}

test('dials, says and hears whole messages, and closes', async () => {
  const asking = client();
  const there = await gateway.member();
  const here = await dialled(asking, there, 9);
  assert.equal(here.remote, 7);
  assert.equal(here.number, 9);
  for (const said of ['a question', '', 'é'.repeat(70000)]) {
    here.send(said);
    assert.deepEqual(await there.next(), message(9, said));
    there.say(message(9, said));
    assert.equal(text(await here.receive()), said);
  }
  here.send(new Uint8Array([1, 2]).buffer);
  assert.deepEqual(await there.next(), Buffer.from([9, 0, 0, 0, 1, 2]));
  here.close();
  assert.deepEqual(await there.next(), command('close', 9));
  assert.equal((await here.closed).code, 'closed');
  assert.throws(() => here.send('late'), { code: 'closed' });
});

test('does what the README shows', async () => {
  const url = gateway.url;
  const options = { WebSocket };
  const answers = gateway.member().then(async (there) => {
    await there.next();
    there.say(command('accept', 1, 7));
    there.say(await there.next());
    return there;
  });
  const client = new GatewayClient(url, options);
  const service = await client.dial(7);
  service.send('Hello, Ferry');
  const answer = new TextDecoder().decode(await service.receive());
  assert.equal(answer, 'Hello, Ferry');
  client.close();
  await (await answers).end();
});

test('tells refused, timed out, aborted, busy and closed apart', async () => {
  const hasty = client({ dialTimeout: 30 });
  const up = new Promise((come) => (hasty.onup = come));
  const late = await gateway.member(0);
  await up;
  await fails(hasty.dial(7), 'timeout');
  assert.deepEqual(await late.next(), command('dial', 7));
  late.say(command('accept', 5, 7));
  assert.deepEqual(await late.next(), command('close', 5), 'an answer that comes too late');
  const asking = client({ maxDials: 3 });
  const there = await gateway.member(1);
  const refused = asking.dial(99);
  await there.next();
  there.say(command('refuse', 99));
  await fails(refused, 'refused');
  const stop = new AbortController();
  const aborted = asking.dial(8, { signal: stop.signal });
  stop.abort();
  await fails(aborted, 'aborted');
  await fails(asking.dial(8, { signal: stop.signal }), 'aborted');
  const closed = asking.dial(7);
  const other = asking.dial(7);
  await fails(asking.dial(7), 'busy');
  there.socket.terminate();
  await fails(closed, 'closed');
  await fails(other, 'closed');
  await fails(asking.dial(7), 'closed');
  await assert.rejects(asking.dial(-1), TypeError);
});

test('is dialled by servers, which wait until somebody accepts', async () => {
  const asking = client({ maxArriving: 2 });
  const there = await gateway.member();
  for (const number of [1, 2, 3]) there.say(command('connect', number, 7));
  assert.deepEqual(await there.next(), command('close', 3), 'above maxArriving');
  const first = await asking.accept();
  assert.equal(first.number, 1);
  const handled = [];
  asking.onconnection = (one) => handled.push(one.number);
  assert.deepEqual(handled, [2]);
  const last = asking.accept();
  there.say(command('connect', 4, 7));
  assert.equal((await last).number, 4);
});

test('hands out what came before the end, and then says how it ended', async () => {
  const there = (await Promise.all([client(), gateway.member()]))[1];
  const here = await dialled(clients[0], there, 1);
  there.say(message(1, 'one'));
  there.say(message(1, 'two'));
  there.say(command('close', 1));
  const heard = [];
  for await (const one of here) heard.push(text(one));
  assert.deepEqual(heard, ['one', 'two']);
  assert.equal((await here.closed).code, 'ended');
  await fails(here.receive(), 'ended');
});

test('closes a connection whose messages nobody takes, and no other', async () => {
  const asking = client({ maxWaitingMessages: 2 });
  const there = await gateway.member();
  const slow = await dialled(asking, there, 1);
  const fast = await dialled(asking, there, 2);
  const got = [];
  fast.onmessage = (one) => got.push(text(one));
  for (const said of ['a', 'b', 'c']) there.say(message(1, said));
  there.say(message(2, 'still here'));
  assert.deepEqual(await there.next(), command('close', 1));
  assert.equal((await slow.closed).code, 'full');
  assert.equal(text(await slow.receive()), 'a');
  there.say(command('ping'));
  fast.send('x');
  await there.next();
  assert.deepEqual(got, ['still here']);
  assert.throws(() => fast.send(new Uint8Array(512 * 1024 - 3)), { code: 'too-large' });
});

test('pings a gateway to which it says nothing, however long an answer might have taken', { timeout: 30_000 }, async () => {
  const asking = client({ pingInterval: 10, pingTimeout: 1e9 });
  const there = await gateway.member();
  for (let i = 0; i < 3; ++i) {
    assert.deepEqual(await there.next(), command('ping'));
    there.say(command('ping'));
  }
  assert.notEqual(asking.roundTrip, null);
  assert.equal(asking.state, 'up');
});

test('leaves a gateway that answers no ping, at once for another connection', async () => {
  const downs = [];
  const asking = client({ pingInterval: 10, pingTimeout: 10, reconnect: true, reconnectDelay: 1e6, reconnectMaxDelay: 1e6 });
  asking.ondown = (why) => downs.push(why.code);
  const here = await dialled(asking, await gateway.member(0), 1);
  await gateway.member(1);
  assert.deepEqual(downs.slice(0, 1), ['timeout']);
  assert.equal((await here.closed).code, 'timeout');
});

test('gives up an attempt to connect that takes too long, for another one or for good', async () => {
  const silent = createServer().listen(0, '127.0.0.1');
  const attempts = [];
  silent.on('connection', (socket) => attempts.push(socket));
  await new Promise((there) => silent.once('listening', there));
  try {
    const url = `ws://127.0.0.1:${silent.address().port}/`;
    const downs = [];
    const asking = new GatewayClient(url, { WebSocket, connectTimeout: 30, reconnectDelay: 1 });
    clients.push(asking);
    const twice = new Promise((come) => {
      asking.ondown = (why) => downs.push(why.code) === 2 && come();
    });
    await twice;
    assert.deepEqual(downs, ['timeout', 'timeout']);
    const waits = asking.dial(7);
    asking.close();
    await fails(waits, 'closed');
    const once = new GatewayClient(url, { WebSocket, connectTimeout: 30, reconnect: false });
    await fails(once.dial(7), 'closed');
    assert.equal(once.state, 'closed');
  } finally {
    for (const one of attempts) one.destroy();
    silent.close();
  }
});

test('comes again, with nothing of before', async () => {
  const asking = client({ reconnect: true, reconnectDelay: 1 });
  const there = await gateway.member(0);
  const old = await dialled(asking, there, 1);
  const unanswered = asking.dial(8);
  await there.next();
  there.socket.terminate();
  await fails(unanswered, 'closed');
  assert.equal((await old.closed).code, 'closed');
  const waits = asking.dial(7);  // made while there is no connection
  const again = await gateway.member(1);
  assert.deepEqual(await again.next(), command('dial', 7));
  again.say(command('accept', 1, 7));
  const fresh = await waits;
  assert.throws(() => old.send('old'), { code: 'closed' });
  fresh.send('fresh');
  assert.deepEqual(await again.next(), message(1, 'fresh'));
});

test('ends where no other WebSocket can be made, and tells who waits', async () => {
  let made = 0;
  class Once extends WebSocket {
    constructor(...given) {
      if (made++ > 0) throw new Error('no more of them');
      super(...given);
    }
  }
  const asking = client({ WebSocket: Once, reconnect: true, reconnectDelay: 1 });
  const there = await gateway.member();
  const accepted = asking.accept();
  const over = new Promise((resolve) => (asking.ondown = () => (asking.ondown = resolve)));
  there.socket.terminate();
  await fails(accepted, 'closed');
  assert.match((await over).message, /no more of them/);
  assert.equal(asking.state, 'closed');
  await fails(asking.dial(7), 'closed');
});

test('leaves a gateway that breaks the protocol for good', async () => {
  const wrong = ['text', Buffer.alloc(3), Buffer.alloc(4), command('dial', 7), command('accept', 1, 7), command('refuse', 7),
    command('connect', 0, 7), Buffer.from([0, 0, 0, 0, 6]), command('connect', 1, 7).subarray(0, 12)];
  for (const [at, one] of wrong.entries()) {
    const asking = client({ reconnect: true, reconnectDelay: 1 });
    const there = await gateway.member(at);
    const down = new Promise((come) => (asking.ondown = come));
    there.say(one);
    assert.equal((await down).code, 'protocol', String(at));
    assert.equal(asking.state, 'closed');
    await there.end();
  }
});

test('says what is wrong with options', () => {
  assert.throws(() => client({ maxPacket: 3 }), /maxPacket/);
  assert.throws(() => client({ dialTimeout: -1 }), /dialTimeout/);
  assert.throws(() => client({ dialTimeout: NaN }), /dialTimeout/);
});
