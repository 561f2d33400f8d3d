"""python-socketio on aiohttp: the server of socketio/chat.mjs in another implementation. MISTAKE: lost, leak, heartbeat."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import socketio  # noqa: E402
from aiohttp import web  # noqa: E402
from listening import Slips, bound, listening, seeded, settings  # noqa: E402

MISTAKE, BEAT_S = settings()
sio = socketio.AsyncServer(
    async_mode="aiohttp", transports=["websocket"], ping_interval=60 if MISTAKE == "heartbeat" else BEAT_S, ping_timeout=5
)
slips = Slips(MISTAKE)
rooms = {}


@sio.event
async def connect(sid, _environ):
    rooms[sid] = "lobby"
    await sio.enter_room(sid, "lobby")


@sio.event
def disconnect(sid, _reason):
    rooms.pop(sid, None)


@sio.event
async def join(sid, room):
    await sio.leave_room(sid, rooms[sid])
    rooms[sid] = room
    await sio.enter_room(sid, room)
    await sio.emit("joined", room, to=sid)


@sio.on("*")
async def relay(event, sid, data):
    slip = slips.next()
    if slip == "leak":
        seeded("leak", sum(room != rooms[sid] for room in rooms.values()))
        await sio.emit(event, data)
        return
    if slip == "lost":
        seeded("lost", 1)
    await sio.emit(event, data, room=rooms[sid], skip_sid=sid if slip == "lost" else None)


async def started(_app):
    listening(listener.getsockname()[1])


listener = bound()
app = web.Application()
sio.attach(app)
app.on_startup.append(started)
listener.listen(1024)
web.run_app(app, sock=listener, print=None)
