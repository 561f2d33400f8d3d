"""Where a Python server listens, and how it says so: PORT (0: any free one), and the one line tests/servers/run waits for."""

import os
import socket


def bound():
    """A socket bound to the port asked for."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(os.environ.get("PORT", "0"))))
    return listener


def listening(port):
    """Says that the server listens."""
    print(f"listening 127.0.0.1:{port}", flush=True)


def settings():
    """The seeded mistake, if any, and the heartbeat's period in seconds."""
    return os.environ.get("MISTAKE", ""), float(os.environ.get("BEAT_MS", "1000")) / 1000
