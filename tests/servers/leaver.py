"""A client that leaves badly: it asks to close and then keeps the TCP connection open, so that the server sees it closing.

Python standard library only. It listens first, and leaves once it has received a number of messages, so that it leaves in
the middle of a run whatever the machine's speed.
"""

import base64
import os
import socket
import struct
import threading


class Leaver:
    """Connects at once; `start` begins to count; `stop` drops the connection."""

    def __init__(self, port, path, after):
        self.after = after
        self.left = threading.Event()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self.bytes = self.socket.makefile("rb")
        status = self.bytes.readline()
        if b" 101 " not in status:
            raise RuntimeError(f"the server refused the leaving client: {status!r}")
        while self.bytes.readline().strip():
            pass
        self.thread = threading.Thread(target=self.listen, daemon=True)

    def start(self):
        self.socket.settimeout(None)
        self.thread.start()

    def listen(self):
        try:
            messages = 0
            while True:
                first, second = self.bytes.read(2)
                length = second & 0x7F
                if length == 126:
                    (length,) = struct.unpack("!H", self.bytes.read(2))
                elif length == 127:
                    (length,) = struct.unpack("!Q", self.bytes.read(8))
                self.bytes.read(length)
                messages += (first & 0x0F) in (1, 2)
                if messages == self.after:
                    # A masked close frame, code 1000; and then nothing: no reading, no end of the TCP stream.
                    self.socket.sendall(bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8]))
                    self.left.set()
                    return
        except (OSError, ValueError):
            return

    def stop(self):
        self.socket.close()
