// node in_node.mjs talk|faults URL ID TELL: what talk.mjs or faults.mjs do, in Node. Each line goes to TELL, as a page's does.
import { GatewayClient } from '../dist/index.js';
import { WebSocket } from './fake_gateway.mjs';
import { faults } from './faults.mjs';
import { talk } from './talk.mjs';

const [, , what, url, id, where] = process.argv;
const tell = (line) => fetch(where, { method: 'POST', body: line });
await { talk, faults }[what](GatewayClient, url, Number(id), { WebSocket }, tell).catch((failed) => tell(`failed: ${failed}`));
