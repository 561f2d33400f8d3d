"""Starting and ending: every process begun here leads a group of its own, and none outlives the driver.

Several threads start processes; the one that ends the driver ends them all, whatever they were in the middle of.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time

# The lock is held again by a signal that comes while its own thread holds it.
LIVE, GIVEN, LOCK = set(), set(), threading.RLock()
# Where Linux begins to take ports for outgoing connections when it does not say.
EPHEMERAL = 32_768


class TooLong(Exception):
    """A program did not end within its time."""


@contextlib.contextmanager
def running(command, log, cwd=None, env=None):
    """A process that writes into the file `log`; gone with all its children when the block ends."""
    with log.open("w") as output:
        process = begin(command, stdout=output, stderr=subprocess.STDOUT, cwd=cwd, env={**os.environ, **(env or {})})
    try:
        yield process
    finally:
        end(process)


def said(command, limit_s, **more):
    """Runs a program to its end: its exit code, its standard output and its standard error."""
    process = begin(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise TooLong(f"{command[0]} did not end within {limit_s} s") from None
    finally:
        end(process)
    return process.returncode, out, err


def begin(command, **more):
    """Starts a process at the head of its own group."""
    with LOCK:
        process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, start_new_session=True, **more)
        LIVE.add(process)
    return process


def end(process):
    """Ends a process and everything it started: asked first, then made to."""
    for sign, limit_s in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limit_s)
    with LOCK:
        LIVE.discard(process)


def end_all():
    """Ends whatever is still running; nothing can be started any more."""
    LOCK.acquire()  # and never released: a thread that wants to start something waits until the driver is gone
    for sign, limit_s in ((signal.SIGTERM, 3), (signal.SIGKILL, 5)):
        for process in LIVE:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
        deadline = time.monotonic() + limit_s
        for process in LIVE:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, deadline - time.monotonic()))


def free_port():
    """A port for a server that cannot be told to take any and say which.

    It is below those that outgoing connections are given, so that no client takes it before the server does, and is given
    out once.
    """
    first = EPHEMERAL
    with contextlib.suppress(OSError, ValueError), open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
        first = int(limits.read().split()[0])
    for _ in range(1000):
        port = random.randrange(min(10_000, first - 1), first) if first > 2048 else 0
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            port = probe.getsockname()[1]
            with LOCK:
                if port not in GIVEN:
                    GIVEN.add(port)
                    return port
    raise OSError("no free port was found")
