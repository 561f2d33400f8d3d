// An echo on `ws`, with permessage-deflate and its own HTTP server: what `wsbench conformance` asks most of.
import { WebSocketServer } from 'ws';

const wss = new WebSocketServer({ port: Number(process.env.PORT ?? 0), host: '127.0.0.1', perMessageDeflate: true });

wss.on('listening', () => console.log(`listening 127.0.0.1:${wss.address().port}`));
wss.on('connection', (ws) => {
  ws.on('error', () => {}); // every broken rule is one, and is expected here
  ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }));
});
process.on('SIGTERM', () => process.exit(0));
