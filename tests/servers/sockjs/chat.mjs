// SockJS: every message to every connection of a room, the sender included, over its framed websocket
// (/chat/ROOM/000/ANY/websocket) and the raw one (/chat/ROOM/websocket). A framed connection's heartbeat is a protocol ping
// every BEAT_MS while nothing else is sent. MISTAKE: lost (every tenth message skips its sender), leak (every tenth goes to all
// rooms), heartbeat (none).
import { createServer } from 'node:http';
import sockjs from 'sockjs';
import { listen, seeded, slip } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const chat = sockjs.createServer({
  prefix: '/chat/[a-z0-9]+',
  heartbeat_delay: mistake === 'heartbeat' ? 3_600_000 : Number(beat),
  log: () => {},
});
const rooms = new Map(); // connection → its room

chat.on('connection', (connection) => {
  const room = connection.url.split('/')[2];
  rooms.set(connection, room);
  connection.on('close', () => rooms.delete(connection));
  connection.on('data', (text) => {
    const { lost, leak } = slip();
    let leaked = 0;
    for (const [other, theirs] of rooms) {
      if (lost && other === connection) {
        seeded(1);
        continue;
      }
      if (theirs !== room) {
        if (!leak) continue;
        leaked++;
      }
      other.write(text);
    }
    if (leak) seeded(leaked);
  });
});

const http = createServer();
chat.installHandlers(http);
listen(http);
