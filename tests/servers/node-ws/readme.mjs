// The broadcast server of the README of `ws`: every message goes to every open client, the sender included.
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from '../listening.mjs';

const http = createServer();
const wss = new WebSocketServer({ server: http });

wss.on('connection', function connection(ws) {
  ws.on('error', console.error);

  ws.on('message', function message(data, isBinary) {
    wss.clients.forEach(function each(client) {
      if (client.readyState === WebSocket.OPEN) {
        client.send(data, { binary: isBinary });
      }
    });
  });
});

listen(http);
