/**
 * - `refused`: nobody has that ID, or the gateway has reached a limit
 * - `timeout`: no answer in time
 * - `closed`: this end closed it, or the connection to the gateway was lost
 * - `ended`: the other end closed the virtual connection
 * - `busy`: too many dials wait
 * - `full`: more is queued than may be; for a connection that received: it was not read in time, and is closed
 * - `too-large`: the message does not fit into a packet
 * - `protocol`: the gateway said what it may not
 * - `aborted`: the caller's AbortSignal
 */
export type GatewayErrorCode =
  'refused' | 'timeout' | 'closed' | 'ended' | 'busy' | 'full' | 'too-large' | 'protocol' | 'aborted';

export class GatewayError extends Error {
  readonly code: GatewayErrorCode;
  constructor(code: GatewayErrorCode, text: string) {
    super(text);
    this.name = 'GatewayError';
    this.code = code;
  }
}
