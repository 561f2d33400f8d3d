// Primus with its `websockets` transformer at /primus: JSON values to all of the room in the query, the sender included. Its
// heartbeat is a message of its own, "primus::ping::TIME", to be answered with "primus::pong::TIME". MISTAKE: lost (every tenth
// message skips its sender), leak (every tenth goes to all rooms), heartbeat (none).
import { createServer } from 'node:http';
import Primus from 'primus';
import { listen, seeded, slip } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const http = createServer();
const primus = new Primus(http, {
  transformer: 'websockets',
  pathname: '/primus',
  pingInterval: mistake === 'heartbeat' ? false : Number(beat),
});

primus.on('connection', (spark) => {
  spark.on('data', (value) => {
    const { lost, leak } = slip();
    let leaked = 0;
    primus.forEach((other) => {
      if (lost && other === spark) return seeded(1);
      if (other.query.room !== spark.query.room) {
        if (!leak) return;
        leaked++;
      }
      other.write(value);
    });
    if (leak) seeded(leaked);
  });
});

listen(http);
