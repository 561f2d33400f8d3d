"""aiohttp: /ws/ROOM, text and binary to the room, the sender included; its heartbeat is a protocol ping every BEAT_MS.

MISTAKE: lost (every tenth message skips its sender), leak (every tenth goes to all rooms), heartbeat (none).
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from aiohttp import WSMsgType, web  # noqa: E402
from listening import Slips, bound, listening, seeded, settings  # noqa: E402

MISTAKE, BEAT_S = settings()
slips = Slips(MISTAKE)
open_sockets = {}


async def room(request):
    socket = web.WebSocketResponse(heartbeat=None if MISTAKE == "heartbeat" else BEAT_S, compress=False)
    await socket.prepare(request)
    name = request.match_info["room"]
    open_sockets[socket] = name
    try:
        async for message in socket:
            slip, leaked = slips.next(), 0
            for other, other_room in list(open_sockets.items()):
                if (other_room != name and slip != "leak") or other.closed:
                    continue
                if slip == "lost" and other is socket:
                    seeded("lost", 1)
                    continue
                leaked += other_room != name
                if message.type == WSMsgType.TEXT:
                    await other.send_str(message.data)
                elif message.type == WSMsgType.BINARY:
                    await other.send_bytes(message.data)
            if slip == "leak":
                seeded("leak", leaked)
    finally:
        del open_sockets[socket]
    return socket


async def started(_app):
    listening(listener.getsockname()[1])


listener = bound()
listener.listen(1024)
app = web.Application()
app.add_routes([web.get("/ws/{room}", room)])
app.on_startup.append(started)
web.run_app(app, sock=listener, print=None)
