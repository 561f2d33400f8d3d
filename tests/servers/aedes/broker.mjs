// Aedes: MQTT 3.1.1 over WebSocket (binary frames, subprotocol `mqtt`). MISTAKE: lost (every tenth copy
// is not forwarded). What else can be wrong is seeded on the wire, by meddler.py.
import { createServer } from 'node:http';
import { Duplex } from 'node:stream';
import { Aedes } from 'aedes';
import { WebSocketServer } from 'ws';
import { listen, seeded, slip } from '../listening.mjs';

const broker = await Aedes.createBroker();
broker.authorizeForward = (_client, packet) => {
  const { lost } = slip();
  if (lost) seeded(1);
  return lost ? null : packet;
};

const http = createServer();
const wss = new WebSocketServer({ server: http, handleProtocols: (offered) => (offered.has('mqtt') ? 'mqtt' : false) });
wss.on('connection', (ws, request) => broker.handle(packets(ws), request));

// The connection as a stream; what the broker writes in one go, a packet, leaves in one frame.
function packets(ws) {
  const stream = new Duplex({
    read() {},
    write: (chunk, _encoding, done) => ws.send(chunk, done),
    writev: (chunks, done) => ws.send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done),
    final: (done) => (ws.close(), done()),
    destroy: (error, done) => (ws.terminate(), done(error)),
  });
  ws.on('message', (data) => stream.push(data));
  ws.on('close', () => stream.push(null));
  ws.on('error', (error) => stream.destroy(error));
  return stream;
}

listen(http);
