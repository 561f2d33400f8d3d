// SockJS: every message to every connection, over its framed websocket (/chat/000/ANY/websocket) and the raw one
// (/chat/websocket). Its heartbeat is a protocol ping every BEAT_MS while nothing else is sent. MISTAKE: lost, heartbeat.
import { createServer } from 'node:http';
import sockjs from 'sockjs';
import { listen } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const chat = sockjs.createServer({
  prefix: '/chat',
  heartbeat_delay: mistake === 'heartbeat' ? 3_600_000 : Number(beat),
  log: () => {},
});
const open = new Set();
let relayed = 0;

chat.on('connection', (connection) => {
  open.add(connection);
  connection.on('close', () => open.delete(connection));
  connection.on('data', (text) => {
    const slip = ++relayed % 10 === 0;
    for (const other of open) {
      if (!(slip && mistake === 'lost' && other === connection)) other.write(text);
    }
  });
});

const http = createServer();
chat.installHandlers(http);
listen(http);
