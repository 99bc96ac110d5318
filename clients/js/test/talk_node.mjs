// node talk_node.mjs URL ID
import { GatewayClient } from '../dist/index.js';
import { WebSocket } from './fake_gateway.mjs';
import { talk } from './talk.mjs';

await talk(GatewayClient, process.argv[2], Number(process.argv[3]), { WebSocket }, (line) => console.log(line));
