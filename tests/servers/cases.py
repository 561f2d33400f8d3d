"""What is run against what, and what must come of it: a table, a row a case.

A row without `finds` must pass every check. A row with `finds` seeds one mistake, and must come out as exactly that finding;
where copies were lost, leaked or doubled, with as many as were.
"""

from dataclasses import dataclass, field
from functools import cache

import install

LISTENING = r"listening 127\.0\.0\.1:(?P<port>\d+)"
FAST_BEAT = {"HEARTBEAT_MS": "1000"}


@dataclass
class Case:
    """One server, one scenario, one expected outcome."""

    name: str
    start: object  # () -> command; `{port}` in it is a free port
    scenario: str  # in scenarios/, or a path from the project's root
    path: str = "/"
    env: dict = field(default_factory=dict)
    finds: str | None = None  # the one check that must fail; None: all must pass
    open: tuple = ()  # checks that may be left undecided, as those of a server that died in the middle
    runs_before: int = 0  # runs that must pass against the same server first: its clients then come back
    leaver: int = 0  # a client that closes badly once it has received so many messages
    meddled: str | None = None  # spoilt on the wire by meddler.py in this way
    counted: str | None = None  # as many copies must be found of this mistake as were seeded
    shared: bool = False  # slow to start, and spoilt on the wire only: one serves all the cases that are started the same way
    ready: str | None = LISTENING  # what it prints when it listens; None: nothing, so it is asked
    needs: tuple = ()  # Debian servers
    wire: tuple = ()  # arguments of `wsbench conformance` instead of a scenario
    known: str = ""  # the file of deviations known there, in tests/conformance/

    def says_port(self):
        """Whether it takes any free port and says which; else it is given one."""
        return self.ready == LISTENING


def node(script):
    def start():
        return ["node", install.npm() / script]

    return start


def python(script):
    def start():
        return [install.pip(), install.HERE / script]

    return start


def tungstenite():
    return [install.tungstenite_example(), "127.0.0.1:{port}"]


@cache
def shell(family):
    """A foreign server by its start script, which makes its settings from PORT in the directory it is run in."""

    def start():
        return ["bash", install.HERE / family / "start"]

    return start


def mistake(name, finds, **more):
    """The Node `ws` server with one classic mistake."""
    more = {"scenario": "four.toml", **more}
    return Case(f"ws: {name}", node("node-ws/mistakes.mjs"), env={**FAST_BEAT, "MISTAKE": name}, finds=finds, **more)


REAL = [
    Case("ws: the README's broadcast server", node("node-ws/readme.mjs"), "relay.toml"),
    Case("ws: four behaviours", node("node-ws/four.mjs"), "four.toml", env=FAST_BEAT),
    Case("ws: four behaviours, clients that come back", node("node-ws/four.mjs"), "four.toml", env=FAST_BEAT, runs_before=1),
    Case("ws: four behaviours, one client leaving badly", node("node-ws/four.mjs"), "four.toml", env=FAST_BEAT, leaver=60),
    Case("websockets: broadcast()", python("websockets/relay.py"), "relay-protocol-heartbeat.toml"),
    Case("tokio-tungstenite: its example chat server", tungstenite, "relay-to-others.toml", ready=r"Listening on"),
    mistake("binary", "integrity"),
    mistake("pong", "pong"),
    mistake("pong-swallowed", "pong"),
    mistake("no-heartbeat", "heartbeat"),
    mistake("slow-heartbeat", "heartbeat", runs_before=1),
    mistake("double-heartbeat", "heartbeat", runs_before=1),
    mistake("last-client", "delivery"),
    mistake("closing-throws", "survival", scenario="four-longer.toml", leaver=200, open=("delivery",)),
    mistake("closing-skips", "delivery", leaver=60),
]


# What finds a seeded mistake, and whether copies are counted: as many must be found as were seeded.
FINDS = {"lost": "delivery", "leak": "stray", "double": "duplicate", "heartbeat": "heartbeat", "ping": "pong"}
COUNTED = ("lost", "leak", "double")


def proved(name, start, scenario, path, *mistakes, on_wire=(), **more):
    """A server in one scenario: honest, and with one mistake at a time, by a switch of its own or `on_wire`, by meddler.py."""
    more = {"start": start, "scenario": scenario, "path": path, **more}
    yield Case(f"{name}: honest", **more)
    for mistake in (*mistakes, *on_wire):
        seeded = {**more, "finds": FINDS[mistake], "counted": mistake if mistake in COUNTED else None}
        if mistake in on_wire:
            # A missing answer to a ping is a missing beat: BEAT says how it looks.
            seeded["meddled"] = "heartbeat" if mistake == "ping" else mistake
        else:
            seeded["env"] = {**more.get("env", {}), "MISTAKE": mistake}
        yield Case(f"{name}: {mistake}", **seeded)


def gorilla():
    return [install.gorilla_chat()]


def crossbar():
    """Crossbar has its own requirements, which suit no other server's; its settings are made by its start script."""
    program = install.pip("requirements-crossbar.txt").parent / "crossbar"
    return ["env", f"CROSSBAR={program}", "bash", install.HERE / "crossbar/start"]


RELAY = "relay.toml"
BEATING, BEATING_ROOMS = "relay-protocol-heartbeat.toml", "relay-protocol-heartbeat-rooms.toml"
IDLE = "idle-protocol-heartbeat.toml"
NGINX = {"ready": None, "needs": ("nginx",)}

# Servers that relay a message as it is.
FAMILIES = [
    *proved("ws", node("node-ws/rooms.mjs"), BEATING, "/lobby", "lost", "heartbeat"),
    *proved("ws, rooms", node("node-ws/rooms.mjs"), BEATING_ROOMS, "", "leak"),
    *proved("websockets", python("websockets/relay.py"), BEATING, "/lobby", "lost", "heartbeat"),
    *proved("websockets, rooms", python("websockets/relay.py"), BEATING_ROOMS, "", "leak"),
    # Any message from a client puts aiohttp's next ping off, so its beat is asked for where nobody publishes.
    *proved("aiohttp", python("aiohttp/relay.py"), RELAY, "/ws/lobby", "lost"),
    *proved("aiohttp, idle", python("aiohttp/relay.py"), IDLE, "/ws/lobby", "heartbeat"),
    *proved("aiohttp, rooms", python("aiohttp/relay.py"), "presets/aiohttp-rooms.toml", "", "leak"),
    *proved("nginx nchan", shell("nchan"), BEATING, "/ws/lobby", on_wire=("lost", "heartbeat", "double"), **NGINX),
    *proved("nginx nchan, rooms", shell("nchan"), "presets/nchan-rooms.toml", "", on_wire=("leak",), env={"ROOM": r"id=[\w-]+-(\d)"}, **NGINX),
    # SockJS's raw WebSocket has no heartbeat; its framed one has, and puts it off when it sends something else.
    *proved("sockjs, raw", node("sockjs/chat.mjs"), RELAY, "/chat/lobby/websocket", "lost"),
    *proved("sockjs, idle", node("sockjs/chat.mjs"), "presets/sockjs-idle.toml", "", "heartbeat"),
    *proved("sockjs, rooms", node("sockjs/chat.mjs"), "presets/sockjs-rooms.toml", "", "leak"),
    Case("tokio-tungstenite: lost", tungstenite, "relay-to-others.toml", ready="Listening on", meddled="lost", finds="delivery", counted="lost"),
]


def preset(name, start, scenario, path, *mistakes, kind="", **more):
    """A family by its preset, or with TOML alone."""
    return proved(f"{name}, {kind}" if kind else name, start, f"presets/{scenario}.toml", path, *mistakes, **more)


SOCKETIO = "/socket.io/?EIO=4&transport=websocket"
MOSQUITTO = {"ready": None, "needs": ("mosquitto",)}
NATS = {"ready": None, "needs": ("nats-server",)}
NATS_BEAT = {"BEAT": r"^PING\r\n$", "REPLY": "PONG\r\n"}
CABLE = {"ready": None, "needs": ("puma",), "env": {"BEAT_S": "1"}}
TOMCAT = {"ready": r"Server startup in", "needs": ("tomcat",), "shared": True}
CROSSBAR = {"ready": None, "shared": True}
PINGRESP = {"BEAT": r"^\xd0\x00$"}

# Servers that wrap it.
PRESETS = [
    *preset("socket.io", node("socketio/chat.mjs"), "socketio", SOCKETIO, "lost", "heartbeat"),
    *preset("socket.io", node("socketio/chat.mjs"), "socketio-rooms", SOCKETIO, "leak", kind="rooms"),
    *preset("python-socketio", python("python-socketio/chat.py"), "socketio", SOCKETIO, "lost", "heartbeat"),
    *preset("python-socketio", python("python-socketio/chat.py"), "socketio-rooms", SOCKETIO, "leak", kind="rooms"),
    *preset("graphql-ws", node("graphql-ws/chat.mjs"), "graphql-ws", "/graphql", "lost", "heartbeat"),
    *preset("graphql-ws", node("graphql-ws/chat.mjs"), "graphql-ws-rooms", "/graphql", "leak", kind="rooms"),
    *preset("stomp-broker-js", node("stomp/broker.mjs"), "stomp", "/ws", on_wire=("lost",)),
    *preset("stomp-broker-js", node("stomp/broker.mjs"), "stomp-idle", "/ws", on_wire=("heartbeat",), kind="idle", env={"BEAT": r"^\n$"}),
    *preset("stomp-broker-js", node("stomp/broker.mjs"), "stomp-rooms", "/ws", on_wire=("leak",), kind="rooms"),
    *preset("aedes", node("aedes/broker.mjs"), "mqtt", "/mqtt", "lost"),
    *preset("aedes", node("aedes/broker.mjs"), "mqtt-ping", "/mqtt", on_wire=("ping",), kind="pinged", env=PINGRESP),
    *preset("aedes", node("aedes/broker.mjs"), "mqtt-rooms", "/mqtt", on_wire=("leak",), kind="rooms"),
    *preset("mosquitto", shell("mosquitto"), "mqtt", "/mqtt", on_wire=("lost",), **MOSQUITTO),
    *preset("mosquitto", shell("mosquitto"), "mqtt-ping", "/mqtt", on_wire=("ping",), kind="pinged", env=PINGRESP, **MOSQUITTO),
    *preset("mosquitto", shell("mosquitto"), "mqtt-rooms", "/mqtt", on_wire=("leak",), kind="rooms", **MOSQUITTO),
    *preset("nats-server", shell("nats"), "nats", "/", on_wire=("lost",), **NATS),
    *preset("nats-server", shell("nats"), "nats-idle", "/", on_wire=("heartbeat",), kind="idle", env=NATS_BEAT, **NATS),
    *preset("nats-server", shell("nats"), "nats-rooms", "/", on_wire=("leak",), kind="rooms", **NATS),
    *preset("action cable", shell("actioncable"), "actioncable", "/cable", "lost", "heartbeat", **CABLE),
    *preset("action cable", shell("actioncable"), "actioncable-rooms", "/cable", "leak", kind="rooms", **CABLE),
    *preset("gorilla chat", gorilla, "gorilla", "/ws/lobby", "lost", "heartbeat", needs=("go",)),
    *preset("gorilla chat", gorilla, "gorilla-rooms", "", "leak", kind="rooms", needs=("go",)),
    *preset("channels", python("channels/chat.py"), "channels", "/ws/chat/lobby/", "lost"),
    *preset("channels", python("channels/chat.py"), "channels-idle", "/ws/chat/lobby/", "heartbeat", kind="idle"),
    *preset("channels", python("channels/chat.py"), "channels-rooms", "", "leak", kind="rooms"),
    *preset("tornado", python("tornado/chat.py"), "tornado", "/chat/lobby", "lost", "heartbeat"),
    *preset("tornado", python("tornado/chat.py"), "tornado-rooms", "", "leak", kind="rooms"),
    *preset("primus", node("primus/relay.mjs"), "primus", "/primus", "lost", "heartbeat"),
    *preset("primus", node("primus/relay.mjs"), "primus-rooms", "", "leak", kind="rooms"),
    *preset("faye", node("faye/bayeux.mjs"), "faye", "/faye", "heartbeat", on_wire=("lost",)),
    *preset("faye", node("faye/bayeux.mjs"), "faye-rooms", "/faye", on_wire=("leak",), kind="rooms"),
    *preset("crossbar", crossbar, "wamp", "/ws", on_wire=("lost", "heartbeat"), **CROSSBAR),
    *preset("crossbar", crossbar, "wamp-rooms", "/ws", on_wire=("leak",), kind="rooms", **CROSSBAR),
    *preset("tomcat", shell("tomcat"), "tomcat-chat", "/examples/websocket/chat", on_wire=("lost",), **TOMCAT),
    *preset("tomcat", shell("tomcat"), "tomcat-chat-rooms", "", on_wire=("leak",), kind="rooms", **TOMCAT),
]


def wire(name, echo, relay, known):
    """A library, frame by frame: what an echo can be asked, and what only a broadcast server can."""
    asked = "1 2 3 4 5 6 7 10 H F C D --exclude alone --exclude H.6.4"
    yield Case(f"{name}: the wire", echo, "", wire=tuple(asked.split()), known=known)
    yield Case(f"{name}: the wire of a broadcast", relay, "", wire=("B",), known=known)


WIRE = [
    *wire("ws", node("node-ws/echo.mjs"), node("node-ws/readme.mjs"), "ws.expect"),
    *wire("websockets", python("websockets/echo.py"), python("websockets/relay.py"), "websockets.expect"),
]

STAGES = {"real": REAL, "wire": WIRE, "families": FAMILIES, "presets": PRESETS}
