// A chat server on `ws` with rooms: a room is the request's path, the sender is included. Its heartbeat is a
// protocol ping every BEAT_MS, by a timer for each client. MISTAKE: lost (every tenth message skips its
// sender), leak (every tenth goes to all rooms: the comparison of rooms is forgotten), heartbeat (no timer is started).
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { listen, seeded, slip } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const http = createServer();
const wss = new WebSocketServer({ server: http });

wss.on('connection', (ws, request) => {
  ws.room = request.url;
  ws.on('error', console.error);
  const timer = mistake === 'heartbeat' ? undefined : setInterval(() => ws.ping(), Number(beat));
  ws.on('close', () => clearInterval(timer));
  ws.on('message', (data, isBinary) => {
    const { lost, leak } = slip();
    let leaked = 0;
    for (const client of wss.clients) {
      if (client.readyState !== WebSocket.OPEN) continue;
      if (lost && client === ws) {
        seeded(1);
        continue;
      }
      if (client.room !== ws.room) {
        if (!leak) continue;
        leaked++;
      }
      client.send(data, { binary: isBinary });
    }
    if (leak) seeded(leaked);
  });
});

listen(http);
