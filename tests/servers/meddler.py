#!/usr/bin/env python3
"""A proxy that spoils one thing on the wire, for servers whose code is not ours to spoil.

    meddler.py PORT TARGET_PORT MISTAKE     prints `listening 127.0.0.1:PORT`

Bytes from the client pass untouched. From the server, frames are read, and by MISTAKE
  lost       every tenth frame that carries a copy (its payload contains `wsb1`, the stamp's first characters) is left out
  heartbeat  protocol pings, and frames whose payload BEAT (a regular expression over bytes) matches, are left out; the
             server is answered in the client's name (a pong, or REPLY), so that nothing but the beat is missing
  leak       every tenth frame that carries a copy is also sent to the client that connected last in another room
             (a room is the request's path)
  double     every tenth frame that carries a copy is sent twice
Python standard library only.
"""

import asyncio
import os
import re
import sys

STAMP = b"wsb1"
TEXT, BINARY, PING, PONG = 1, 2, 9, 10


class Meddler:
    def __init__(self, target, mistake, beat):
        self.target, self.mistake, self.beat = target, mistake, beat
        self.copies = 0
        self.clients = {}  # writer → the path it asked for, in the order of connecting

    async def serve(self, reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.close()
            return
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            server_writer.write(head)
            answer = await server_reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if b" 101 " in answer.split(b"\r\n", 1)[0]:
                self.clients[writer] = head.split(b" ", 2)[1]
                down = self.frames(server_reader, writer, server_writer)
            else:
                down = copy(server_reader, writer)
            await asyncio.gather(copy(reader, server_writer), down)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.clients.pop(writer, None)
            writer.close()
            server_writer.close()

    async def frames(self, reader, writer, back):
        """The server's frames, one by one, spoilt where the mistake says so."""
        try:
            while True:
                head = await reader.readexactly(2)
                length = head[1] & 0x7F
                extended = await reader.readexactly({126: 2, 127: 8}.get(length, 0))
                if extended:
                    length = int.from_bytes(extended, "big")
                payload = await reader.readexactly(length)
                opcode = head[0] & 0x0F
                if self.mistake == "heartbeat" and self.is_beat(opcode, payload):
                    back.write(self.answer(opcode, payload))
                    continue
                for receiver in self.receivers(writer, payload):
                    receiver.write(head + extended + payload)
                await writer.drain()
        except asyncio.IncompleteReadError:
            if writer.can_write_eof():
                writer.write_eof()

    def is_beat(self, opcode, payload):
        return opcode == PING or (self.beat is not None and opcode in (TEXT, BINARY) and bool(self.beat.search(payload)))

    def answer(self, opcode, payload):
        """What the client would have sent back, masked with zeros; nothing where no REPLY is known."""
        if opcode == PING:
            return bytes([0x80 | PONG, 0x80 | len(payload)]) + bytes(4) + payload
        reply = os.environ.get("REPLY", "").encode()
        return bytes([0x80 | opcode, 0x80 | len(reply)]) + bytes(4) + reply if reply else b""

    def receivers(self, writer, payload):
        if self.mistake == "heartbeat" or STAMP not in payload:
            return [writer]
        self.copies += 1
        if self.copies % 10:
            return [writer]
        if self.mistake == "lost":
            return []
        if self.mistake == "double":
            return [writer, writer]
        others = [other for other, room in self.clients.items() if room != self.clients[writer]]
        return [writer, *others[-1:]]


async def copy(reader, writer):
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def main():
    port, target, mistake = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    beat = os.environ.get("BEAT")
    meddler = Meddler(target, mistake, re.compile(beat.encode()) if beat else None)
    server = await asyncio.start_server(meddler.serve, "127.0.0.1", port, limit=1 << 20)
    print(f"listening 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
