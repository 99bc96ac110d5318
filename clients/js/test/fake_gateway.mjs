// A gateway that a test plays by hand, over the package ws (Debian's node-ws).
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';

const require = createRequire(import.meta.url);
export const WebSocket = require(existsSync('/usr/share/nodejs/ws') ? '/usr/share/nodejs/ws' : 'ws');

const types = { dial: 0, accept: 1, connect: 2, refuse: 3, close: 4, ping: 5 };

/** Numbers of 4 bytes behind the type, in a packet of connection 0. */
export function command(type, ...numbers) {
  const made = Buffer.alloc(5 + 4 * numbers.length);
  made[4] = types[type];
  numbers.forEach((one, at) => made.writeUInt32LE(one, 5 + 4 * at));
  return made;
}
export function message(connection, text) {
  const made = Buffer.alloc(4 + Buffer.byteLength(text));
  made.writeUInt32LE(connection);
  made.write(text, 4);
  return made;
}

export class FakeGateway {
  constructor(server) {
    this.server = server;
    this.url = `ws://127.0.0.1:${server.address().port}/`;
    this.members = [];
    this.wake = () => undefined;
    server.on('connection', (socket) => {
      const member = { socket, packets: [], ended: false };
      socket.on('message', (data) => { member.packets.push(data); this.wake(); });
      socket.on('close', () => { member.ended = true; this.wake(); });
      this.members.push(member);
      this.wake();
    });
  }
  static open() {
    return new Promise((resolve) => {
      const server = new WebSocket.Server({ port: 0, host: '127.0.0.1' }, () => resolve(new FakeGateway(server)));
    });
  }
  async until(done) {
    while (!done()) await new Promise((come) => { this.wake = come; });
  }
  /** The n-th that came, from 0. */
  async member(at = 0) {
    await this.until(() => this.members.length > at);
    const member = this.members[at];
    return {
      socket: member.socket,
      say: (data) => member.socket.send(data),
      next: async () => {
        await this.until(() => member.packets.length > 0 || member.ended);
        return member.packets.shift() ?? null;
      },
      end: () => this.until(() => member.ended),
    };
  }
  close() {
    for (const one of this.members) one.socket.terminate();
    return new Promise((closed) => this.server.close(closed));
  }
}
