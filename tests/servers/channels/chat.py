"""Django Channels on Daphne, the tutorial's chat in one file: ws/chat/ROOM/, {"message": …} to the room, the sender included.

Its heartbeat is Daphne's protocol ping, every BEAT_MS without other traffic. MISTAKE: leak (every tenth message goes to a
second room too), lost (every tenth is not sent back by its sender's consumer), heartbeat (a minute between pings).
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import django  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402
from listening import Slips, bound, listening, seeded, settings  # noqa: E402

MISTAKE, BEAT_S = settings()
django_settings.configure(
    DEBUG=False,
    SECRET_KEY="a test's",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["channels"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 100_000}}},
)
django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from daphne.server import Server  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.urls import re_path  # noqa: E402

slips = Slips(MISTAKE)
rooms = {}


class ChatConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        self.room = self.scope["url_route"]["kwargs"]["room"]
        rooms[self.room] = rooms.get(self.room, 0) + 1
        await self.channel_layer.group_add(f"chat_{self.room}", self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        rooms[self.room] -= 1
        await self.channel_layer.group_discard(f"chat_{self.room}", self.channel_name)

    async def receive(self, text_data=None, bytes_data=None):
        slip = slips.next()
        skips = self.channel_name if slip == "lost" else None
        event = {"type": "chat.message", "message": json.loads(text_data)["message"], "skips": skips}
        await self.channel_layer.group_send(f"chat_{self.room}", event)
        if slip == "leak":
            other = next(room for room in rooms if room != self.room)
            seeded("leak", rooms[other])
            await self.channel_layer.group_send(f"chat_{other}", event)

    async def chat_message(self, event):
        if event["skips"] == self.channel_name:
            seeded("lost", 1)
            return
        await self.send(text_data=json.dumps({"message": event["message"]}))


application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([re_path(r"ws/chat/(?P<room>\w+)/$", ChatConsumer.as_asgi())])}
)
listener = bound()
port = listener.getsockname()[1]
listener.close()
Server(
    application=application,
    endpoints=[f"tcp:port={port}:interface=127.0.0.1"],
    ping_interval=60 if MISTAKE == "heartbeat" else BEAT_S,
    ping_timeout=5,
    ready_callable=lambda: listening(port),
    verbosity=0,
).run()
