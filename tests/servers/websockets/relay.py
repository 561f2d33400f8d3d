"""A relay on Python `websockets`, with its `broadcast()`: every message goes to every open client of the room, the sender
included. The room is the request's path.

Its heartbeat is the library's own: a protocol ping every BEAT_MS. MISTAKE: lost (every tenth message skips its sender), leak
(every tenth goes to all rooms), heartbeat (none).
"""

import asyncio
import sys
from pathlib import Path

from websockets.asyncio.server import broadcast, serve

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from listening import Slips, bound, listening, seeded, settings  # noqa: E402

MISTAKE, BEAT_S = settings()
slips = Slips(MISTAKE)
rooms = {}


async def handler(connection):
    room = rooms.setdefault(connection.request.path, set())
    room.add(connection)
    try:
        async for message in connection:
            audience, slip = room, slips.next()
            if slip == "lost":
                audience = room - {connection}
            if slip == "leak":
                audience = set().union(*rooms.values())
            if slip:
                seeded(slip, abs(len(audience) - len(room)))
            broadcast(audience, message)
    finally:
        room.discard(connection)


async def main():
    listener = bound()
    async with serve(handler, sock=listener, ping_interval=None if MISTAKE == "heartbeat" else BEAT_S, compression=None) as server:
        listening(listener.getsockname()[1])
        await server.serve_forever()


asyncio.run(main())
