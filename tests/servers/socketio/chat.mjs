// Socket.IO 4: whatever event a client emits goes to its room, the sender included; `join` moves it to a room, acknowledged
// with `joined`. MISTAKE: lost (every tenth message skips its sender), leak (every tenth goes to all rooms), heartbeat (the
// server promises one period and keeps another).
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { listen, seeded, slip } from '../listening.mjs';

const { MISTAKE: mistake = '', BEAT_MS: beat = '1000' } = process.env;
const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  pingInterval: mistake === 'heartbeat' ? 60_000 : Number(beat),
  pingTimeout: 5000,
});

io.on('connection', (socket) => {
  let room = 'lobby';
  socket.join(room);
  socket.on('join', (wanted) => {
    socket.leave(room);
    room = wanted;
    socket.join(room);
    socket.emit('joined', room);
  });
  socket.onAny((event, ...args) => {
    if (event === 'join') return;
    const { lost, leak } = slip();
    const members = io.of('/').adapter.rooms.get(room).size;
    if (leak) {
      seeded(io.of('/').sockets.size - members);
      io.emit(event, ...args);
    } else if (lost) {
      seeded(1);
      io.to(room).except(socket.id).emit(event, ...args);
    } else io.to(room).emit(event, ...args);
  });
});

listen(http);
