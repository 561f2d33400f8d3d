// graphql-transport-ws: `mutation { say(m, room) }` reaches every `subscription { said(room) }`. Its heartbeat is a protocol
// ping every BEAT_MS. MISTAKE: lost (every tenth message skips one subscriber), leak (every tenth goes to all rooms),
// heartbeat (none).
import { createServer } from 'node:http';
import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';
import { listen, seeded, slip } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const schema = buildSchema(`
  type Query { subscribers: Int }
  type Mutation { say(m: String, room: String = "lobby"): String }
  type Subscription { said(room: String = "lobby"): String }
`);
const subscribers = new Set();

async function* said({ room }) {
  const waiting = [];
  const subscriber = { room, push: (text) => waiting.push(text), wake: () => {} };
  subscriber.push = (text) => {
    waiting.push(text);
    subscriber.wake();
  };
  subscribers.add(subscriber);
  try {
    while (true) {
      while (waiting.length > 0) yield { said: waiting.shift() };
      await new Promise((wake) => (subscriber.wake = wake));
    }
  } finally {
    subscribers.delete(subscriber);
  }
}

function say({ m, room }) {
  const { lost, leak } = slip();
  const members = [...subscribers].filter((s) => s.room === room);
  const audience = leak ? [...subscribers] : members;
  if (leak) seeded(audience.length - members.length);
  if (lost) seeded(audience.splice(-1).length);
  for (const subscriber of audience) subscriber.push(m);
  return m;
}

const http = createServer();
const wss = new WebSocketServer({ server: http, path: '/graphql' });
const roots = { query: { subscribers: () => subscribers.size }, mutation: { say }, subscription: { said } };
useServer({ schema, roots }, wss, mistake === 'heartbeat' ? 0 : Number(beat));

listen(http);
