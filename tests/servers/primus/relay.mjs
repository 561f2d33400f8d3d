// Primus with its `websockets` transformer at /primus: JSON values to all, the sender included. Its heartbeat is a message of
// its own, "primus::ping::TIME", to be answered with "primus::pong::TIME". MISTAKE: lost, heartbeat.
import { createServer } from 'node:http';
import Primus from 'primus';
import { listen } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const http = createServer();
const primus = new Primus(http, {
  transformer: 'websockets',
  pathname: '/primus',
  pingInterval: mistake === 'heartbeat' ? false : Number(beat),
});
let relayed = 0;

primus.on('connection', (spark) => {
  spark.on('data', (value) => {
    const slip = ++relayed % 10 === 0;
    primus.forEach((other) => {
      if (!(slip && mistake === 'lost' && other === spark)) other.write(value);
    });
  });
});

listen(http);
