#!/usr/bin/env python3
"""A proxy that spoils one thing on the wire, for servers whose code is not ours to spoil.

    meddler.py PORT TARGET_PORT MISTAKE     prints `listening 127.0.0.1:PORT`

Bytes pass untouched. Frames from the server are told apart, and by MISTAKE
  lost       every tenth frame that carries a copy (its payload contains `wsb1`, the stamp's first characters) is left out
  heartbeat  protocol pings, and frames whose payload BEAT (a regular expression over bytes) matches, are left out; the
             server is answered in the client's name (a pong, or REPLY), so that nothing but the beat is missing
  leak       every tenth frame that carries a copy is also sent to the client of another room that has waited longest for
             one, until LEAKS frames have been
  double     every tenth frame that carries a copy is sent twice
A client's room is what the regular expression ROOM finds first in the request's first line, else in what the client sends.
Each copy lost, leaked or doubled is told: `seeded MISTAKE COPIES`.
Python standard library only.
"""

import asyncio
import os
import re
import sys

STAMP = b"wsb1"
TEXT, BINARY, PING, PONG = 1, 2, 9, 10
ROOM = rb"room[./-]?(\w+)"
# So few that the last is long past when the run ends: a copy leaked to a client that is closing is nobody's to count.
LEAKS = 10


class Meddler:
    def __init__(self, target, mistake, beat, room):
        self.target, self.mistake, self.beat, self.room = target, mistake, beat, room
        self.copies = self.leaks = 0
        self.rooms = {}  # writer → its client's room, who was leaked to least recently first

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
                self.look_for_room(writer, head.split(b"\r\n", 1)[0])
                up, down = self.up(reader, server_writer, writer), self.down(server_reader, writer, server_writer)
            else:
                up, down = copy(reader, server_writer), copy(server_reader, writer)
            await asyncio.gather(up, down)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.rooms.pop(writer, None)
            writer.close()
            server_writer.close()

    def look_for_room(self, writer, said):
        if writer not in self.rooms and (found := self.room.search(said)):
            self.rooms[writer] = found.group(1)

    async def up(self, reader, server, writer):
        """The client's frames."""
        async for _, raw, payload in frames(reader):
            server.write(raw)
            self.look_for_room(writer, payload)
            await server.drain()
        if server.can_write_eof():
            server.write_eof()

    async def down(self, reader, writer, back):
        """The server's frames, spoilt where the mistake says so."""
        async for opcode, raw, payload in frames(reader):
            if self.mistake == "heartbeat" and self.is_beat(opcode, payload):
                back.write(self.answer(opcode, payload))
                continue
            for receiver in self.receivers(writer, payload):
                receiver.write(raw)
            await writer.drain()
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
            told("lost", payload)
            return []
        if self.mistake == "double":
            told("double", payload)
            return [writer, writer]
        return [*self.elsewhere(writer, payload), writer]

    def elsewhere(self, writer, payload):
        """Who of another room is to get this too."""
        mine = self.rooms.get(writer)
        others = [other for other, room in self.rooms.items() if room != mine and not other.is_closing()]
        if self.leaks == LEAKS or mine is None or not others:
            return []
        self.leaks += 1
        self.rooms[others[0]] = self.rooms.pop(others[0])
        told("leak", payload)
        return others[:1]


def told(mistake, payload):
    print(f"seeded {mistake} {payload.count(STAMP)}", flush=True)


async def frames(reader):
    """Each frame: its opcode, its bytes as they came, and its payload unmasked."""
    try:
        while True:
            head = await reader.readexactly(2)
            length = head[1] & 0x7F
            extended = await reader.readexactly({126: 2, 127: 8}.get(length, 0))
            if extended:
                length = int.from_bytes(extended, "big")
            mask = await reader.readexactly(4 if head[1] & 0x80 else 0)
            payload = await reader.readexactly(length)
            clear = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
            yield head[0] & 0x0F, head + extended + mask + payload, clear
    except asyncio.IncompleteReadError:
        return


async def copy(reader, writer):
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def main():
    port, target, mistake = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    beat = os.environ.get("BEAT")
    room = os.environ.get("ROOM", "").encode() or ROOM
    meddler = Meddler(target, mistake, re.compile(beat.encode(), re.S) if beat else None, re.compile(room))
    server = await asyncio.start_server(meddler.serve, "127.0.0.1", port, limit=1 << 20)
    print(f"listening 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
