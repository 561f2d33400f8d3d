"""Tornado: /chat, JSON {"id": N, "body": …} to all, the sender included; its heartbeat is a protocol ping every BEAT_MS.

The message is re-serialised on its way, with an id of the server's. MISTAKE: lost (every tenth message skips its sender),
heartbeat (none).
"""

import asyncio
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from listening import bound, listening, settings  # noqa: E402
from tornado.httpserver import HTTPServer  # noqa: E402
from tornado.web import Application  # noqa: E402
from tornado.websocket import WebSocketClosedError, WebSocketHandler  # noqa: E402

MISTAKE, BEAT_S = settings()


class Chat(WebSocketHandler):
    waiters = set()
    said = 0

    def check_origin(self, _origin):
        return True

    def open(self):
        Chat.waiters.add(self)

    def on_close(self):
        Chat.waiters.discard(self)

    def on_message(self, message):
        Chat.said += 1
        chat = json.dumps({"id": Chat.said, "body": json.loads(message)["body"]})
        for waiter in list(Chat.waiters):
            if MISTAKE == "lost" and Chat.said % 10 == 0 and waiter is self:
                continue
            try:
                waiter.write_message(chat)
            except WebSocketClosedError:
                Chat.waiters.discard(waiter)


async def main():
    beat = {} if MISTAKE == "heartbeat" else {"websocket_ping_interval": BEAT_S, "websocket_ping_timeout": BEAT_S}
    listener = bound()
    listener.listen(1024)
    listener.setblocking(False)
    server = HTTPServer(Application([(r"/chat", Chat)], **beat))
    server.add_sockets([listener])
    listening(listener.getsockname()[1])
    await asyncio.Event().wait()


asyncio.run(main())
