// A `ws` server with the four behaviours of the reference server: broadcast to all, a heartbeat of its own, `ping` answered
// to the asker alone, and a greeting. The honest twin of mistakes.mjs. HEARTBEAT_MS sets the beat (5000).
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from '../listening.mjs';

const BEAT = JSON.stringify({ type: 1, message: 'ping' });
const PONG = JSON.stringify({ type: 0, message: 'pong' });
const period = Number(process.env.HEARTBEAT_MS ?? 5000);

const http = createServer();
const wss = new WebSocketServer({ server: http });

wss.on('connection', (ws) => {
  ws.on('error', console.error);
  ws.send('something');

  const timer = setInterval(() => {
    if (ws.readyState === WebSocket.OPEN) ws.send(BEAT);
  }, period);
  ws.on('close', () => clearInterval(timer));

  ws.on('message', (data, isBinary) => {
    if (!isBinary && data.toString() === 'ping') {
      ws.send(PONG);
      return;
    }
    for (const client of wss.clients) {
      if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
    }
  });
});

listen(http);
