"""What is run against what, and what must come of it: a table, a row a case.

A row without `finds` must pass every check. A row with `finds` seeds one mistake, and must come out as exactly that finding.
"""

from dataclasses import dataclass, field

import install

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
    ready: str | None = r"listening 127\.0\.0\.1:(?P<port>\d+)"
    needs: tuple = ()  # Debian servers
    wire: tuple = ()  # arguments of `wsbench conformance` instead of a scenario
    known: str = ""  # the file of deviations known there, in tests/conformance/


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

def family(name, start, path, **more):
    """A family that relays as it is and pings at protocol level: honest, with a copy lost, with a dead heartbeat."""
    honest = {"start": start, "scenario": "relay-protocol-heartbeat.toml", "path": path, **more}
    return [Case(f"{name}: honest", **honest), *spoilt(name, honest)]


def spoilt(name, honest):
    """By its own switch where the code is ours, else on the wire."""
    for mistake, finds in (("lost", "delivery"), ("heartbeat", "heartbeat")):
        if honest.get("ready", "ours") == "ours":
            yield Case(f"{name}: {mistake}", **honest, env={"MISTAKE": mistake}, finds=finds)
        else:
            yield Case(f"{name}: {mistake}", **honest, meddled=mistake, finds=finds)


IDLE = "idle-protocol-heartbeat.toml"

FAMILIES = [
    *family("websockets", python("websockets/relay.py"), "/"),
    # Any message from a client puts aiohttp's next ping off, so its beat is asked for where nobody publishes.
    Case("aiohttp: honest", python("aiohttp/relay.py"), "relay.toml", "/ws/lobby"),
    Case("aiohttp: honest, idle", python("aiohttp/relay.py"), IDLE, "/ws/lobby"),
    Case("aiohttp: lost", python("aiohttp/relay.py"), "relay.toml", "/ws/lobby", {"MISTAKE": "lost"}, "delivery"),
    Case("aiohttp: heartbeat", python("aiohttp/relay.py"), IDLE, "/ws/lobby", {"MISTAKE": "heartbeat"}, "heartbeat"),
    *family("nginx nchan", shell("nchan"), "/ws/lobby", ready=None, needs=("nginx",)),
    # Its raw WebSocket, which has no heartbeat.
    Case("sockjs: honest", node("sockjs/chat.mjs"), "relay.toml", "/chat/websocket"),
    Case("sockjs: lost", node("sockjs/chat.mjs"), "relay.toml", "/chat/websocket", {"MISTAKE": "lost"}, "delivery"),
]

def gorilla():
    return [install.gorilla_chat()]


def preset(name, start, scenario, path, beats=True, **more):
    """A family by its preset: honest, with a copy lost, and with a dead heartbeat where it has one. Spoilt by its own switch."""
    own = {"start": start, "scenario": f"presets/{scenario}.toml", "path": path, **more}
    yield Case(f"{name}: honest", **own)
    for mistake, finds in (("lost", "delivery"), ("heartbeat", "heartbeat")):
        if mistake == "lost" or beats:
            yield Case(f"{name}: {mistake}", **{**own, "env": {**own.get("env", {}), "MISTAKE": mistake}}, finds=finds)


def preset_meddled(name, start, scenario, path, **more):
    """The same for a server whose code is not ours: a copy is lost on the wire."""
    own = {"start": start, "scenario": f"presets/{scenario}.toml", "path": path, "ready": None, **more}
    yield Case(f"{name}: honest", **own)
    yield Case(f"{name}: lost", **own, meddled="lost", finds="delivery")


def leak(name, start, scenario, path, **more):
    """A family in rooms: honest, and with every tenth message told to other rooms too."""
    own = {"start": start, "scenario": f"presets/{scenario}.toml", "path": path, **more}
    yield Case(f"{name}, rooms: honest", **own)
    yield Case(f"{name}, rooms: leak", **own, env={"MISTAKE": "leak"}, finds="stray")


def crossbar():
    """Crossbar has its own requirements, which suit no other server's; its settings are made by its start script."""
    program = install.pip("requirements-crossbar.txt").parent / "crossbar"
    return ["env", f"CROSSBAR={program}", "bash", install.HERE / "crossbar/start"]


SOCKETIO = "/socket.io/?EIO=4&transport=websocket"

PRESETS = [
    *preset("socket.io", node("socketio/chat.mjs"), "socketio", SOCKETIO),
    *preset("python-socketio", python("python-socketio/chat.py"), "socketio", SOCKETIO),
    *preset("graphql-ws", node("graphql-ws/chat.mjs"), "graphql-ws", "/graphql"),
    *preset_meddled("stomp-broker-js", node("stomp/broker.mjs"), "stomp", "/ws", ready=r"listening"),
    *preset("aedes", node("aedes/broker.mjs"), "mqtt", "/mqtt", beats=False),
    *preset_meddled("mosquitto", shell("mosquitto"), "mqtt", "/mqtt", needs=("mosquitto",)),
    *preset_meddled("nats-server", shell("nats"), "nats", "/", needs=("nats-server",)),
    *preset("action cable", shell("actioncable"), "actioncable", "/cable", env={"BEAT_S": "1"}, needs=("puma",), ready=None),
    *preset("gorilla chat", gorilla, "gorilla", "/ws", needs=("go",)),
    *preset("channels", python("channels/chat.py"), "channels", "/ws/chat/lobby/", beats=False),
    Case("channels: honest, idle", python("channels/chat.py"), "presets/channels-idle.toml", "/ws/chat/lobby/"),
    Case("channels: heartbeat", python("channels/chat.py"), "presets/channels-idle.toml", "/ws/chat/lobby/", {"MISTAKE": "heartbeat"}, "heartbeat"),
    *preset("tornado", python("tornado/chat.py"), "tornado", "/chat"),
    *preset("primus", node("primus/relay.mjs"), "primus", "/primus"),
    *preset_meddled("faye", node("faye/bayeux.mjs"), "faye", "/faye", ready=r"listening"),
    Case("faye: heartbeat", node("faye/bayeux.mjs"), "presets/faye.toml", "/faye", {"MISTAKE": "heartbeat"}, "heartbeat"),
    *preset_meddled("crossbar", crossbar, "wamp", "/ws"),
    *preset_meddled("tomcat", shell("tomcat"), "tomcat-chat", "/examples/websocket/chat", needs=("tomcat",)),
    *leak("socket.io", node("socketio/chat.mjs"), "socketio-rooms", SOCKETIO),
    *leak("python-socketio", python("python-socketio/chat.py"), "socketio-rooms", SOCKETIO),
    *leak("aiohttp", python("aiohttp/relay.py"), "aiohttp-rooms", ""),
    *leak("channels", python("channels/chat.py"), "channels-rooms", ""),
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
