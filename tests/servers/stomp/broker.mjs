// stomp-broker-js: STOMP 1.1 over WebSocket at /ws; a message to a destination reaches its subscribers, the sender left out.
// Its heartbeat is a newline, as the two sides agree in CONNECT. Its mistakes are seeded by meddler.py, on the wire.
import { createServer } from 'node:http';
import StompServer from 'stomp-broker-js';
import { listen } from '../listening.mjs';

const beat = Number(process.env.BEAT_MS ?? 1000);
const http = createServer();
new StompServer({ server: http, path: '/ws', heartbeat: [beat, beat], heartbeatErrorMargin: 5000 });
listen(http);
