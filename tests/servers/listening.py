"""What the Python servers share: where they listen and how they say so, and which messages they get wrong, and how they tell.

PORT is where to listen (0: any free one); tests/servers/run waits for the one line that says so, and counts what was seeded.
"""

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


class Slips:
    """What is wrong with each message relayed: every tenth is `lost`, or a `leak`.

    Leaks end after ten, so that the last is long past when the run ends: a copy leaked to a client that is closing is
    nobody's to count.
    """

    LEAKS = 10

    def __init__(self, mistake):
        self.mistake, self.messages = mistake, 0

    def next(self):
        """The next message's: `lost`, `leak` or nothing."""
        self.messages += 1
        wrong = self.messages % 10 == 0 and (self.mistake == "lost" or self.messages <= 10 * self.LEAKS)
        return self.mistake if wrong and self.mistake in ("lost", "leak") else ""


def seeded(mistake, copies):
    """Tells how many copies a mistake has cost or leaked."""
    print(f"seeded {mistake} {copies}", flush=True)
