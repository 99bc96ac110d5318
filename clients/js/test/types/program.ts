// A program that is only compiled: what the package's declarations promise, and what they refuse.
import {
  GatewayClient, GatewayError, VirtualConnection,
  type GatewayErrorCode, type GatewayOptions, type GatewayState, type WebSocketLike, type WebSocketMaker,
} from 'ferry-client';

const ofTheBrowser: WebSocketMaker = WebSocket;
const options: GatewayOptions = { WebSocket: ofTheBrowser, maxPacket: 1024, reconnect: false, protocols: ['a'], connectTimeout: 5 };
// @ts-expect-error times are numbers
const wrong: GatewayOptions = { pingInterval: '10s' };
// @ts-expect-error there is no such option
const unknown: GatewayOptions = { pingIntervall: 10 };

export async function talk(url: string): Promise<GatewayErrorCode | null> {
  const client = new GatewayClient(url, options);
  client.onup = () => undefined;
  client.ondown = (why: GatewayError) => console.log(why.code, why.message);
  client.onconnection = (made: VirtualConnection) => made.close();
  const state: GatewayState = client.state;
  const trip: number | null = client.roundTrip;
  const made: VirtualConnection = await client.dial(7, { signal: new AbortController().signal });
  made.send('text');
  made.send(new Uint8Array(1));
  made.send(new ArrayBuffer(1));
  // @ts-expect-error a message is bytes or text
  made.send(7);
  // @ts-expect-error it is the gateway's
  made.number = 7;
  // @ts-expect-error an ID is a number
  await client.dial('7');
  const came: Uint8Array = await made.receive();
  for await (const message of made) console.log(message.length + came.length, state, trip);
  const accepted: VirtualConnection = await client.accept();
  const why: GatewayError = await accepted.closed;
  if (why instanceof Error && why.code === 'ended') return null;
  // @ts-expect-error no such code
  if (why.code === 'lost') return null;
  client.close();
  return why.code;
}

// What there is of a WebSocket in a program without one of its own.
class Mine implements WebSocketLike {
  binaryType = 'arraybuffer';
  readonly bufferedAmount = 0;
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onerror: WebSocketLike['onerror'] = null;
  onclose: WebSocketLike['onclose'] = null;
  constructor(readonly url: string) {}
  send(data: Uint8Array): void {
    console.log(this.url, data.length);
  }
  close(): void {}
}
export const mine = new GatewayClient('ws://localhost/', { WebSocket: Mine });
export const refused = [wrong, unknown];
