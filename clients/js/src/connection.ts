import { GatewayError } from './errors.js';

/** What a virtual connection asks of the client that it belongs to. */
export interface Carrier {
  send(connection: number, message: Uint8Array): void;
  close(connection: number): void;
  readonly maxMessage: number;
  readonly maxWaitingBytes: number;
  readonly maxWaitingMessages: number;
}

const encoder = new TextEncoder();

/**
 * Whole messages both ways, in order. Receive with `onmessage`, or with `receive()`, or as an async iterator; what comes
 * while nobody receives is kept up to the client's limits, above which the connection is closed with `full`.
 */
export class VirtualConnection implements AsyncIterable<Uint8Array> {
  /** The gateway's number of it. */
  readonly number: number;
  /** The ID of the server at the other end. */
  readonly remote: number;
  /** Resolves with the reason when it is over, `ended` or `closed` where all went well; never rejects. */
  readonly closed: Promise<GatewayError>;

  private readonly carrier: Carrier;
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private receivers: { resolve: (message: Uint8Array) => void; reject: (why: GatewayError) => void }[] = [];
  private handler: ((message: Uint8Array) => void) | null = null;
  private reason: GatewayError | null = null;
  private tellClosed!: (why: GatewayError) => void;

  /** @internal */
  constructor(carrier: Carrier, number: number, remote: number) {
    this.carrier = carrier;
    this.number = number;
    this.remote = remote;
    this.closed = new Promise((resolve) => (this.tellClosed = resolve));
  }

  get isOpen(): boolean {
    return this.reason === null;
  }

  /**
   * Queues one message; text goes as UTF-8.
   * @throws GatewayError closed or ended, full (wait until the client's bufferedAmount is lower), too-large
   */
  send(message: Uint8Array | ArrayBuffer | string): void {
    if (this.reason !== null) throw this.reason;
    const bytes =
      typeof message === 'string' ? encoder.encode(message) : message instanceof Uint8Array ? message : new Uint8Array(message);
    if (bytes.length > this.carrier.maxMessage)
      throw new GatewayError('too-large', `a message of ${bytes.length} bytes, ${this.carrier.maxMessage} is the limit`);
    this.carrier.send(this.number, bytes);
  }

  /** Gets every message from now on; those that wait come first. */
  set onmessage(handler: ((message: Uint8Array) => void) | null) {
    this.handler = handler;
    while (this.handler !== null && this.waiting.length > 0) this.handler(this.shift());
  }
  get onmessage(): ((message: Uint8Array) => void) | null {
    return this.handler;
  }

  /** The next message. Rejects with the reason once it is over and everything that came was taken. */
  receive(): Promise<Uint8Array> {
    if (this.waiting.length > 0) return Promise.resolve(this.shift());
    if (this.reason !== null) return Promise.reject(this.reason);
    return new Promise((resolve, reject) => this.receivers.push({ resolve, reject }));
  }

  /** Ends in order where the connection did; else it throws why. */
  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    for (;;) {
      let message: Uint8Array;
      try {
        message = await this.receive();
      } catch (why) {
        if (why instanceof GatewayError && why === this.reason && (why.code === 'ended' || why.code === 'closed')) return;
        throw why;
      }
      yield message;
    }
  }

  /** What is queued still goes out; nothing more is received. */
  close(): void {
    if (this.reason !== null) return;
    this.carrier.close(this.number);
    this.over(new GatewayError('closed', 'this end closed the virtual connection'));
  }

  /** @internal */
  take(message: Uint8Array): void {
    const receiver = this.receivers.shift();
    if (receiver !== undefined) return receiver.resolve(message);
    if (this.handler !== null) return this.handler(message);
    const fits =
      this.waiting.length === 0 ||
      (this.waiting.length < this.carrier.maxWaitingMessages &&
        this.waitingBytes + message.length <= this.carrier.maxWaitingBytes);
    if (!fits) {
      this.carrier.close(this.number);
      return this.over(new GatewayError('full', `${this.waiting.length} messages wait and nobody takes them`));
    }
    this.waiting.push(message);
    this.waitingBytes += message.length;
  }

  /** @internal */
  over(why: GatewayError): void {
    if (this.reason !== null) return;
    this.reason = why;
    const receivers = this.receivers;
    this.receivers = [];
    for (const one of receivers) one.reject(why);
    this.tellClosed(why);
  }

  private shift(): Uint8Array {
    const first = this.waiting.shift() as Uint8Array;
    this.waitingBytes -= first.length;
    return first;
  }
}
