// What a page and a program of Node's go through alike: a server dials them, their gateway is killed and started again, and
// it stops answering. `tell` says what was found; "please ..." asks for a deed, which is done when its promise is.
export async function faults(GatewayClient, url, service, options, tell) {
  const text = (bytes) => new TextDecoder().decode(bytes);
  const patient = { dialTimeout: 0, pingInterval: 0, reconnectDelay: 10, reconnectMaxDelay: 200, ...options };
  const echo = async (over, said) => {
    over.send(said);
    const came = text(await over.receive());
    if (came !== said) throw new Error(`${said}: ${came}`);
  };
  // Refused means that the gateway is there and the service not yet.
  const dialAgain = async (client) => {
    for (;;) {
      try {
        return await client.dial(service);
      } catch (why) {
        if (why.code !== 'refused') throw why;
        await new Promise((come) => setTimeout(come, 20));
      }
    }
  };

  const client = new GatewayClient(url, patient);
  const one = await client.dial(service);
  await echo(one, 'before');
  const first = client.accept();
  await tell('please let a server dial client 1');
  const serve = async (made) => {
    made.onmessage = (message) => made.send(message);
    await tell(`server ${made.remote} ${(await made.closed).code}`);
  };
  const others = [];
  const served = serve(await first);
  const two = new Promise((both) => {
    client.onconnection = (made) => {
      if (others.push(serve(made)) === 2) both();
    };
  });
  await two;
  await Promise.all([served, ...others]);
  await tell('please say how that server ended');

  await tell('please kill the gateway');
  await tell(`virtual connection ${(await one.closed).code}`);
  const waits = client.dial(service).catch((why) => why);
  await tell('please start the gateway');
  const answer = await waits;
  await tell(`the dial that waited ${answer.code === 'refused' || answer.isOpen ? 'was answered' : answer}`);
  await echo(await dialAgain(client), 'after');
  await tell(`old one ${one.isOpen ? 'open' : 'closed'}`);
  client.close();

  const downs = [];
  const careful = new GatewayClient(url, { ...patient, pingInterval: 50, pingTimeout: 3000, connectTimeout: 300 });
  careful.ondown = (why) => downs.push(why.code);
  const held = await dialAgain(careful);
  await echo(held, 'before the silence');
  await tell('please stop the gateway');
  await tell(`virtual connection ${(await held.closed).code}`);
  while (downs.length < 3) await new Promise((come) => setTimeout(come, 10));
  await tell(`silent gateway: ${downs.slice(0, 3).join(' ')}`);
  await tell('please go on');
  await echo(await dialAgain(careful), 'after the silence');
  await tell('well');
  careful.close();
}
