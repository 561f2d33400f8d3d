// Faye: the Bayeux protocol over WebSocket at /faye; a publication reaches the channel's subscribers, the sender included.
// Its heartbeat is a protocol ping every BEAT_MS. MISTAKE: lost (every tenth copy is dropped on its way out), heartbeat (none).
import { createServer } from 'node:http';
import faye from 'faye';
import { listen } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const bayeux = new faye.NodeAdapter({ mount: '/faye', timeout: 45, ping: mistake === 'heartbeat' ? undefined : Number(beat) / 1000 });
let copies = 0;
bayeux.addExtension({
  outgoing(message, callback) {
    const copy = message.data !== undefined && !message.channel.startsWith('/meta/');
    callback(mistake === 'lost' && copy && ++copies % 10 === 0 ? null : message);
  },
});

const http = createServer();
bayeux.attach(http);
listen(http);
