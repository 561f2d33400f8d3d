// Faye: the Bayeux protocol over WebSocket at /faye; a publication reaches the channel's subscribers, the sender included.
// Its heartbeat is a protocol ping every BEAT_MS. MISTAKE: heartbeat (none). A copy is lost on the wire, by meddler.py: an
// extension of Faye's that drops one sends `[null]` in its place.
import { createServer } from 'node:http';
import faye from 'faye';
import { listen } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const bayeux = new faye.NodeAdapter({ mount: '/faye', timeout: 45, ping: mistake === 'heartbeat' ? undefined : Number(beat) / 1000 });

const http = createServer();
bayeux.attach(http);
listen(http);
