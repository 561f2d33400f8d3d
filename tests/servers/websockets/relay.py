"""A relay on Python `websockets`, with its `broadcast()`: every message goes to every open client, the sender included.

Its heartbeat is the library's own: a protocol ping every BEAT_S seconds. MISTAKE seeds one fault:
  lost       every tenth message skips one client
  heartbeat  the library's pings are turned off
"""

import asyncio
import os

from websockets.asyncio.server import broadcast, serve

MISTAKE = os.environ.get("MISTAKE", "")
BEAT_S = float(os.environ.get("BEAT_S", "1"))
clients = set()
relayed = 0


async def handler(connection):
    global relayed
    clients.add(connection)
    try:
        async for message in connection:
            relayed += 1
            audience = set(clients)
            if MISTAKE == "lost" and relayed % 10 == 0:
                audience.discard(connection)
            broadcast(audience, message)
    finally:
        clients.discard(connection)


async def main():
    beat = None if MISTAKE == "heartbeat" else BEAT_S
    async with serve(handler, "127.0.0.1", int(os.environ.get("PORT", "0")), ping_interval=beat, compression=None) as server:
        print(f"listening 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


asyncio.run(main())
