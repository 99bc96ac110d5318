/**
 * The bytes of docs/gateway.md over WebSocket: one packet is one binary message, without its length.
 * Integers are little endian.
 */
import { GatewayError } from './errors.js';

export const headerBytes = 4;

export type Command =
  | { type: 'dial'; remote: number }
  | { type: 'accept' | 'connect'; connection: number; remote: number }
  | { type: 'refuse'; remote: number }
  | { type: 'close'; connection: number }
  | { type: 'ping' };

const types = ['dial', 'accept', 'connect', 'refuse', 'close', 'ping'] as const;
const argumentsOf = { dial: 1, accept: 2, connect: 2, refuse: 1, close: 1, ping: 0 };

export function encodeCommand(command: Command): Uint8Array {
  const made = new Uint8Array(headerBytes + 1 + 4 * argumentsOf[command.type]);
  const view = new DataView(made.buffer);
  made[headerBytes] = types.indexOf(command.type);
  let at = headerBytes + 1;
  const put = (value: number) => {
    view.setUint32(at, value, true);
    at += 4;
  };
  if ('connection' in command) put(command.connection);
  if ('remote' in command) put(command.remote);
  return made;
}

export function encodeMessage(connection: number, message: Uint8Array): Uint8Array {
  const made = new Uint8Array(headerBytes + message.length);
  new DataView(made.buffer).setUint32(0, connection, true);
  made.set(message, headerBytes);
  return made;
}

/** @throws GatewayError `protocol` */
export function decodePacket(data: ArrayBuffer): Command | { type: 'message'; connection: number; message: Uint8Array } {
  if (data.byteLength < headerBytes)
    throw new GatewayError('protocol', `a packet of ${data.byteLength} bytes, ${headerBytes} are the fewest`);
  const view = new DataView(data);
  const connection = view.getUint32(0, true);
  if (connection !== 0) return { type: 'message', connection, message: new Uint8Array(data, headerBytes) };
  if (data.byteLength === headerBytes) throw new GatewayError('protocol', 'a command without a type');
  const type = types[view.getUint8(headerBytes)];
  if (type === undefined) throw new GatewayError('protocol', `a command of type ${view.getUint8(headerBytes)}`);
  const first = headerBytes + 1;
  if (data.byteLength < first + 4 * argumentsOf[type])
    throw new GatewayError('protocol', `${type} without all of its arguments`);
  switch (type) {
    case 'dial':
    case 'refuse': return { type, remote: view.getUint32(first, true) };
    case 'accept':
    case 'connect':
      return { type, connection: view.getUint32(first, true), remote: view.getUint32(first + 4, true) };
    case 'close': return { type, connection: view.getUint32(first, true) };
    case 'ping': return { type };
  }
}
