export { GatewayClient } from './client.js';
export type { GatewayOptions, GatewayState, WebSocketLike, WebSocketMaker } from './client.js';
export { VirtualConnection } from './connection.js';
export { GatewayError } from './errors.js';
export type { GatewayErrorCode } from './errors.js';
