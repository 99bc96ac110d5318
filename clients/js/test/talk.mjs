// What a page and a program of Node's do alike: talks to a service that echoes, through a real gateway, and tells what
// it found, line by line. `tell` may return a promise.
export async function talk(GatewayClient, url, service, options, tell) {
  const client = new GatewayClient(url, { pingInterval: 50, ...options });
  const same = (got, said) => got.length === said.length && got.every((one, at) => one === said[at]);
  const payload = (size) => Uint8Array.from({ length: size }, (_, at) => (at * 7 + (at >> 8)) & 255);
  const one = await client.dial(service);
  let echoed = 0;
  for (const size of [0, 1, 125, 126, 65535, 65536, 512 * 1024 - 4]) {
    one.send(payload(size));
    if (!same(await one.receive(), payload(size))) throw new Error(`echo of ${size} bytes is another`);
    ++echoed;
  }
  const other = await client.dial(service);
  for (let i = 0; i < 500; ++i) (i % 2 ? one : other).send(`burst ${i}`);
  for (let i = 0; i < 500; ++i) {
    const text = new TextDecoder().decode(await (i % 2 ? one : other).receive());
    if (text !== `burst ${i}`) throw new Error(`burst ${i}: ${text}`);
    ++echoed;
  }
  await tell(`echoed ${echoed}`);
  await client.dial(service + 1).catch((why) => tell(`dial ${why.code}`));
  while (client.roundTrip === null) await new Promise((come) => setTimeout(come, 10));
  await tell('pinged');
  one.close();
  await tell(`one ${(await one.closed).code}`);
  other.send('still there');
  if (new TextDecoder().decode(await other.receive()) !== 'still there') throw new Error('the other one');
  client.close();
  await tell(`other ${(await other.closed).code}`);
}

