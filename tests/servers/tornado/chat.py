"""Tornado: /chat/ROOM, JSON {"id": N, "body": …} to the room, the sender included; its heartbeat is a protocol ping every BEAT_MS.

The message is re-serialised on its way, with an id of the server's. MISTAKE: lost (every tenth message skips its sender),
leak (every tenth goes to all rooms), heartbeat (none).
"""

import asyncio
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from listening import Slips, bound, listening, seeded, settings  # noqa: E402
from tornado.httpserver import HTTPServer  # noqa: E402
from tornado.web import Application  # noqa: E402
from tornado.websocket import WebSocketClosedError, WebSocketHandler  # noqa: E402

MISTAKE, BEAT_S = settings()


class Chat(WebSocketHandler):
    waiters = {}
    slips = Slips(MISTAKE)

    def check_origin(self, _origin):
        return True

    def open(self, room):
        Chat.waiters[self] = self.room = room

    def on_close(self):
        Chat.waiters.pop(self, None)

    def on_message(self, message):
        slip, leaked = Chat.slips.next(), 0
        chat = json.dumps({"id": Chat.slips.messages, "body": json.loads(message)["body"]})
        for waiter, room in list(Chat.waiters.items()):
            if room != self.room and slip != "leak":
                continue
            if slip == "lost" and waiter is self:
                seeded("lost", 1)
                continue
            try:
                waiter.write_message(chat)
                leaked += room != self.room
            except WebSocketClosedError:
                Chat.waiters.pop(waiter, None)
        if slip == "leak":
            seeded("leak", leaked)


async def main():
    beat = {} if MISTAKE == "heartbeat" else {"websocket_ping_interval": BEAT_S, "websocket_ping_timeout": BEAT_S}
    listener = bound()
    listener.listen(1024)
    listener.setblocking(False)
    server = HTTPServer(Application([(r"/chat/(\w+)", Chat)], **beat))
    server.add_sockets([listener])
    listening(listener.getsockname()[1])
    await asyncio.Event().wait()


asyncio.run(main())
