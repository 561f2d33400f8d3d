"""An echo on Python `websockets`, with permessage-deflate: what `wsbench conformance` asks most of."""

import asyncio
import logging
import sys
from pathlib import Path

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from listening import bound, listening  # noqa: E402


async def handler(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        pass  # every broken rule ends so, and is expected here


async def main():
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    listener = bound()
    async with serve(handler, sock=listener, compression="deflate", max_size=2**25):
        listening(listener.getsockname()[1])
        await asyncio.Future()


asyncio.run(main())
