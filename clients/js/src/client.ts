import { Carrier, VirtualConnection } from './connection.js';
import { GatewayError } from './errors.js';
import { Command, decodePacket, encodeCommand, encodeMessage, headerBytes } from './packet.js';

/** What is needed of a WebSocket: a browser's, Node's (22 and later), or that of the package `ws`. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: any) => void) | null;
  onmessage: ((event: any) => void) | null;
  onerror: ((event: any) => void) | null;
  onclose: ((event: any) => void) | null;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
}
export type WebSocketMaker = new (url: string, protocols?: string | string[]) => WebSocketLike;

/** Times are in milliseconds. */
export interface GatewayOptions {
  /** As at the gateway; a message has at most 4 bytes less. Default 512 KiB. */
  maxPacket?: number;
  /** From the call to the answer; 0: for ever. Default 10 000. */
  dialTimeout?: number;
  /** Dials that wait for an answer at most. Default 1024. */
  maxDials?: number;
  /** A ping when nothing was sent for so long; below the gateway's idle time. 0: none. Default 10 000. */
  pingInterval?: number;
  /** That an answer may take; then the connection is given up. Default 10 000. */
  pingTimeout?: number;
  /** That an attempt to connect may take; then there is another one, or an end. 0: as long as it likes. Default 10 000. */
  connectTimeout?: number;
  /** Another connection when one is lost. Default true. */
  reconnect?: boolean;
  /** The first delay, doubled with each failure up to the second; each up to a fifth shorter or longer. 500, 30 000. */
  reconnectDelay?: number;
  reconnectMaxDelay?: number;
  /** Bytes that may wait for the network. Above: send() throws `full`. Default 16 MiB. */
  maxBuffered?: number;
  /** What one virtual connection keeps while nobody receives. Defaults 1024, 4 MiB. */
  maxWaitingMessages?: number;
  maxWaitingBytes?: number;
  /** That servers dialled and nobody has accepted; above: closed at once. Default 64. */
  maxArriving?: number;
  /** Subprotocols of the WebSocket handshake. */
  protocols?: string | string[];
  /** Default: the global one. */
  WebSocket?: WebSocketMaker;
}

interface Dial {
  remote: number;
  resolve: (made: VirtualConnection) => void;
  reject: (why: GatewayError) => void;
  over: boolean;
  sent: boolean;
  release: () => void;
}

/** connecting --> up --> waiting --> connecting ...   close() --> closed */
export type GatewayState = 'connecting' | 'up' | 'waiting' | 'closed';

/** A client of a gateway: one WebSocket, over it virtual connections. */
export class GatewayClient {
  /** The gateway is reached. */
  onup: (() => void) | null = null;
  /** The connection to the gateway is over, and with it every virtual connection; or it could not be made. */
  ondown: ((why: GatewayError) => void) | null = null;
  /** Servers that dial this client; those that wait for accept() come first. */
  private handler: ((made: VirtualConnection) => void) | null = null;

  private readonly url: string;
  private readonly with: Required<Omit<GatewayOptions, 'protocols' | 'WebSocket'>>;
  private readonly protocols: string | string[] | undefined;
  private readonly make: WebSocketMaker;
  private readonly carrier: Carrier;
  private socket: WebSocketLike | null = null;
  private current: GatewayState = 'connecting';
  private failures = 0;
  private retry: ReturnType<typeof setTimeout> | null = null;
  private pinging: ReturnType<typeof setTimeout> | null = null;
  private giveUp: ReturnType<typeof setTimeout> | null = null;
  private lastSent = 0;
  private lastPing = 0;
  private askedAt: number | null = null;
  private trip: number | null = null;
  private dials: Dial[] = [];
  private readonly connections = new Map<number, VirtualConnection>();
  private arriving: VirtualConnection[] = [];
  private acceptors: { resolve: (made: VirtualConnection) => void; reject: (why: GatewayError) => void }[] = [];

  /** Connects by itself; dials may wait at once. @throws TypeError options that cannot work */
  constructor(url: string, options: GatewayOptions = {}) {
    const { protocols, WebSocket: make, ...rest } = options;
    this.url = url;
    this.with = {
      maxPacket: 512 * 1024, dialTimeout: 10_000, maxDials: 1024, pingInterval: 10_000, pingTimeout: 10_000,
      connectTimeout: 10_000, reconnect: true, reconnectDelay: 500, reconnectMaxDelay: 30_000, maxBuffered: 16 << 20,
      maxWaitingMessages: 1024, maxWaitingBytes: 4 << 20, maxArriving: 64, ...rest,
    };
    for (const [name, value] of Object.entries(this.with))
      if (typeof value === 'number' && !(value >= 0)) throw new TypeError(`${name}: ${value} is not 0 or more`);
    if (this.with.maxPacket < headerBytes) throw new TypeError(`maxPacket: ${headerBytes} bytes are the least`);
    this.protocols = protocols;
    const found = make ?? (globalThis as { WebSocket?: WebSocketMaker }).WebSocket;
    if (found === undefined)
      throw new TypeError('there is no global WebSocket (Node has one from 22 on): give the option WebSocket, as of the package ws');
    this.make = found;
    this.carrier = {
      send: (connection, message) => this.sendMessage(connection, message),
      close: (connection) => {
        this.connections.delete(connection);
        this.say({ type: 'close', connection });
      },
      maxMessage: this.with.maxPacket - headerBytes,
      maxWaitingBytes: this.with.maxWaitingBytes,
      maxWaitingMessages: this.with.maxWaitingMessages,
    };
    this.connect();
  }

  get state(): GatewayState {
    return this.current;
  }
  /** Bytes that wait for the network. */
  get bufferedAmount(): number {
    return this.socket?.bufferedAmount ?? 0;
  }
  /** To the gateway and back in milliseconds, as the last ping found; null: none has come back. */
  get roundTrip(): number | null {
    return this.trip;
  }

  /**
   * A virtual connection to a server. While the gateway is not reached, it waits.
   * Rejects with a GatewayError: refused, timeout, closed, busy, aborted.
   */
  dial(remote: number, options: { signal?: AbortSignal } = {}): Promise<VirtualConnection> {
    if (!Number.isInteger(remote) || remote < 0 || remote > 0xffffffff)
      return Promise.reject(new TypeError(`${remote} is no ID: 0 to 4294967295`));
    if (this.current === 'closed') return Promise.reject(new GatewayError('closed', 'the client is closed'));
    if (options.signal?.aborted) return Promise.reject(new GatewayError('aborted', 'the dial was aborted'));
    if (this.dials.length >= this.with.maxDials)
      return Promise.reject(new GatewayError('busy', `${this.dials.length} dials wait for an answer, the limit`));
    return new Promise((resolve, reject) => {
      const one: Dial = { remote, resolve, reject, over: false, sent: false, release: () => undefined };
      const abort = () => this.endDial(one, new GatewayError('aborted', 'the dial was aborted'));
      const timer = this.with.dialTimeout === 0 ? null : setTimeout(
        () => this.endDial(one, new GatewayError('timeout', `no answer to a dial for ${this.with.dialTimeout} ms`)),
        this.with.dialTimeout);
      options.signal?.addEventListener('abort', abort);
      one.release = () => {
        if (timer !== null) clearTimeout(timer);
        options.signal?.removeEventListener('abort', abort);
      };
      this.dials.push(one);
      if (this.current === 'up') this.sendDial(one);
    });
  }

  /** The next server that dials this client. Rejects with `closed` when the client is closed. */
  accept(): Promise<VirtualConnection> {
    const first = this.arriving.shift();
    if (first !== undefined) return Promise.resolve(first);
    if (this.current === 'closed') return Promise.reject(new GatewayError('closed', 'the client is closed'));
    return new Promise((resolve, reject) => this.acceptors.push({ resolve, reject }));
  }

  /** Every server that dials this client from now on; those that nobody has accepted come first. */
  set onconnection(handler: ((made: VirtualConnection) => void) | null) {
    this.handler = handler;
    while (this.handler !== null && this.arriving.length > 0) this.handler(this.arriving.shift() as VirtualConnection);
  }
  get onconnection(): ((made: VirtualConnection) => void) | null {
    return this.handler;
  }

  /** What is queued still goes out; for good. */
  close(): void {
    if (this.current === 'closed') return;
    this.current = 'closed';
    this.down(new GatewayError('closed', 'the client was closed'));
  }

  // Nobody is there to catch what is thrown: it is the end, and who waits is told so.
  private connectAgain(): void {
    try {
      this.connect();
    } catch (why) {
      this.down(new GatewayError('closed', `no other connection can be made: ${why}`));
    }
  }

  private connect(): void {
    this.retry = null;
    this.current = 'connecting';
    let socket: WebSocketLike;
    try {
      socket = new this.make(this.url, this.protocols);
    } catch (why) {
      this.current = 'closed';
      throw why;
    }
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    const ours = () => this.socket === socket;
    const most = this.with.connectTimeout;
    if (most !== 0) {
      this.giveUp = setTimeout(() => this.down(new GatewayError('timeout', `the gateway was not reached within ${most} ms`)), most);
      (this.giveUp as { unref?: () => void }).unref?.();  // the attempt itself does, as long as it lasts
    }
    socket.onopen = () => {
      if (ours()) this.up();
    };
    socket.onmessage = (event: { data: unknown }) => {
      if (ours()) this.take(event.data);
    };
    socket.onerror = () => undefined;  // onclose follows
    socket.onclose = (event: { code?: number; reason?: string }) => {
      if (ours()) this.down(new GatewayError('closed', `the connection to the gateway is over: ${event.code ?? 1006} ${event.reason ?? ''}`.trim()));
    };
  }

  private up(): void {
    this.current = 'up';
    if (this.giveUp !== null) clearTimeout(this.giveUp);
    this.giveUp = null;
    this.lastSent = Date.now();
    this.askedAt = null;
    this.schedulePing();
    for (const one of this.dials) this.sendDial(one);
    this.onup?.();
  }

  // Everything that was is over; what was dialled and not sent yet waits for the next connection.
  private down(why: GatewayError): void {
    const socket = this.socket;
    const last = this.current === 'closed' || why.code === 'protocol' || !this.with.reconnect;
    this.socket = null;
    const unanswered = this.current === 'up' && why.code === 'timeout';
    if (this.current === 'up') this.failures = 0;
    for (const timer of [this.pinging, this.retry, this.giveUp]) if (timer !== null) clearTimeout(timer);
    this.pinging = this.retry = this.giveUp = null;
    socket?.close(1000);
    this.current = last ? 'closed' : 'waiting';
    if (!last) {
      const delay = Math.min(this.with.reconnectDelay * 2 ** Math.min(this.failures++, 20), this.with.reconnectMaxDelay);
      const wait = unanswered ? 0 : delay * (0.8 + 0.4 * Math.random());
      this.retry = setTimeout(() => this.connectAgain(), wait);
    }
    const open = [...this.connections.values()];
    const gone = this.dials.filter((one) => last || one.sent);
    this.connections.clear();
    this.dials = this.dials.filter((one) => !last && !one.sent);
    this.arriving = [];
    for (const one of open) one.over(why);
    for (const one of gone) this.settle(one, () => one.reject(new GatewayError('closed', why.message)));
    if (last) {
      const acceptors = this.acceptors;
      this.acceptors = [];
      for (const one of acceptors) one.reject(new GatewayError('closed', why.message));
    }
    this.ondown?.(why);
  }

  private take(data: unknown): void {
    try {
      if (!(data instanceof ArrayBuffer)) throw new GatewayError('protocol', 'a text from the gateway');
      const packet = decodePacket(data);
      if (packet.type === 'message') return this.connections.get(packet.connection)?.take(packet.message);
      this.obey(packet);
    } catch (why) {
      if (!(why instanceof GatewayError) || why.code !== 'protocol') throw why;
      this.down(why);
    }
  }

  private obey(command: Command): void {
    switch (command.type) {
      case 'accept': return this.accepted(command.connection, command.remote);
      case 'refuse': {
        const one = this.answered(command.remote);
        return this.settle(one, () =>
          one.reject(new GatewayError('refused', `${command.remote}: nobody has that ID, or a limit is reached`)));
      }
      case 'connect': {
        const made = this.add(command.connection, command.remote);
        const acceptor = this.acceptors.shift();
        if (acceptor !== undefined) return acceptor.resolve(made);
        if (this.handler !== null) return this.handler(made);
        if (this.arriving.length >= this.with.maxArriving) return made.close();
        this.arriving.push(made);
        return;
      }
      case 'close': {
        const one = this.connections.get(command.connection);
        this.connections.delete(command.connection);
        return one?.over(new GatewayError('ended', 'the other end closed the virtual connection'));
      }
      case 'ping':
        if (this.askedAt !== null) this.trip = Date.now() - this.lastPing;
        this.askedAt = null;
        return this.schedulePing();  // the next one is due before the time-out of this one was
      case 'dial': throw new GatewayError('protocol', 'a dial from the gateway');
    }
  }

  private accepted(connection: number, remote: number): void {
    const one = this.answered(remote);
    if (one.over) return this.say({ type: 'close', connection });
    const made = this.add(connection, remote);
    this.settle(one, () => one.resolve(made));
  }

  private add(number: number, remote: number): VirtualConnection {
    if (number === 0 || this.connections.has(number))
      throw new GatewayError('protocol', `a virtual connection with the number ${number}, which cannot be new`);
    const made = new VirtualConnection(this.carrier, number, remote);
    this.connections.set(number, made);
    return made;
  }

  // Answers come in the order of the dials, so the first dial to that remote is the one.
  private answered(remote: number): Dial {
    const at = this.dials.findIndex((one) => one.sent && one.remote === remote);
    if (at < 0) throw new GatewayError('protocol', 'an answer to a dial that nobody made');
    return this.dials.splice(at, 1)[0] as Dial;
  }

  private settle(one: Dial, tell: () => void): void {
    one.release();
    if (!one.over) tell();
    one.over = true;
  }

  // A dial that was sent stays, so that its answer finds it.
  private endDial(one: Dial, why: GatewayError): void {
    if (!one.sent) this.dials = this.dials.filter((other) => other !== one);
    this.settle(one, () => one.reject(why));
  }

  private sendDial(one: Dial): void {
    if (one.sent) return;
    one.sent = true;
    this.say({ type: 'dial', remote: one.remote });
  }

  private sendMessage(connection: number, message: Uint8Array): void {
    if (this.socket === null) throw new GatewayError('closed', 'there is no connection to the gateway');
    if (this.socket.bufferedAmount > 0 && this.socket.bufferedAmount + message.length > this.with.maxBuffered)
      throw new GatewayError('full', `${this.socket.bufferedAmount} bytes wait for the network`);
    this.lastSent = Date.now();
    this.socket.send(encodeMessage(connection, message));
  }

  private say(command: Command): void {
    if (this.socket === null || this.current !== 'up') return;
    this.lastSent = Date.now();
    this.socket.send(encodeCommand(command));
  }

  private schedulePing(): void {
    if (this.pinging !== null) clearTimeout(this.pinging);
    this.pinging = null;
    if (this.with.pingInterval === 0) return;
    const now = Date.now();
    const due = this.askedAt !== null ? this.askedAt + this.with.pingTimeout : this.lastSent + this.with.pingInterval;
    this.pinging = setTimeout(() => {
      if (this.askedAt !== null && Date.now() >= this.askedAt + this.with.pingTimeout)
        return this.down(new GatewayError('timeout', `the gateway did not answer a ping for ${this.with.pingTimeout} ms`));
      if (this.askedAt === null && Date.now() >= this.lastSent + this.with.pingInterval) {
        this.askedAt = this.lastPing = Date.now();
        this.say({ type: 'ping' });
      }
      this.schedulePing();
    }, Math.max(due - now, 1));
    (this.pinging as { unref?: () => void }).unref?.();  // a ping alone keeps no program of Node's alive
  }
}
