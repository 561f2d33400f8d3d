// The server of four.mjs with one classic mistake, chosen by MISTAKE. Each is written the way it is met in the wild.
//
//   binary            forwards the received Buffer without its opcode: text becomes binary
//   pong              compares the received Buffer with 'ping': never equal, so no pong ever comes and pings are broadcast
//   pong-swallowed    the same comparison in a server that forwards only what is not a ping
//   no-heartbeat      the heartbeat is written, and never started
//   slow-heartbeat    a back-off that is never reset: after each reconnect a seat's beat comes at twice its interval
//   double-heartbeat  the old timer of a seat is never cleared: after each reconnect its beats come once more per interval
//   last-client       a loop that ends one too early: all but the last client get the broadcast
//   closing-throws    an error on sending to a client that is closing is thrown: the process dies and takes everyone down
//   closing-skips     the same error, caught too far out: the rest of the clients miss the broadcast
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { listen } from '../listening.mjs';

const MISTAKES = [
  'binary', 'pong', 'pong-swallowed', 'no-heartbeat', 'slow-heartbeat', 'double-heartbeat', 'last-client', 'closing-throws',
  'closing-skips',
];
const mistake = process.env.MISTAKE;
if (!MISTAKES.includes(mistake)) {
  console.error(`MISTAKE must be one of: ${MISTAKES.join(', ')}`);
  process.exit(2);
}

const BEAT = JSON.stringify({ type: 1, message: 'ping' });
const PONG = JSON.stringify({ type: 0, message: 'pong' });
const period = Number(process.env.HEARTBEAT_MS ?? 5000);

const http = createServer();
const wss = new WebSocketServer({ server: http });

// A client takes the first free seat; one that comes back finds a used one.
const seats = [];

function sit(ws) {
  let seat = seats.find((seat) => seat.socket === null);
  if (!seat) {
    seat = { socket: null, period };
    seats.push(seat);
  }
  seat.socket = ws;
  return seat;
}

function startHeartbeat(seat) {
  if (mistake === 'no-heartbeat') return;
  const timer = setInterval(() => {
    if (seat.socket?.readyState === WebSocket.OPEN) seat.socket.send(BEAT);
  }, seat.period);
  seat.socket.on('close', () => {
    if (mistake !== 'double-heartbeat') clearInterval(timer);
    if (mistake === 'slow-heartbeat') seat.period *= 2;
    seat.socket = null;
  });
}

function isPing(data, isBinary) {
  if (mistake === 'pong' || mistake === 'pong-swallowed') return data === 'ping';
  return !isBinary && data.toString() === 'ping';
}

function broadcast(data, isBinary) {
  if (mistake === 'binary') {
    for (const client of wss.clients) if (client.readyState === WebSocket.OPEN) client.send(data);
    return;
  }
  if (mistake === 'last-client') {
    const clients = [...wss.clients];
    for (let i = 0; i < clients.length - 1; i++) {
      if (clients[i].readyState === WebSocket.OPEN) clients[i].send(data, { binary: isBinary });
    }
    return;
  }
  if (mistake === 'closing-throws') {
    for (const client of wss.clients) {
      client.send(data, { binary: isBinary }, (error) => {
        if (error) throw error;
      });
    }
    return;
  }
  if (mistake === 'closing-skips') {
    for (const client of wss.clients) {
      if (client.readyState !== WebSocket.OPEN) throw new Error('not opened');
      client.send(data, { binary: isBinary });
    }
    return;
  }
  for (const client of wss.clients) {
    if (client.readyState === WebSocket.OPEN) client.send(data, { binary: isBinary });
  }
}

wss.on('connection', (ws) => {
  ws.on('error', console.error);
  ws.send('something');
  startHeartbeat(sit(ws));

  ws.on('message', (data, isBinary) => {
    if (isPing(data, isBinary)) {
      ws.send(PONG);
      return;
    }
    if (mistake === 'pong-swallowed' && data.toString() === 'ping') return;
    try {
      broadcast(data, isBinary);
    } catch (error) {
      if (mistake !== 'closing-skips') throw error;
    }
  });
});

listen(http);
