"""Fetches the servers with their own package managers, pinned, into a cache outside the tree.

Every function returns the place to run from, or raises Missing with the command that would help. Nothing here starts a server.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import processes

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


LOCKS, LOCKS_LOCK = {}, threading.Lock()
APT_LOCK, NOT_HAD = threading.Lock(), {}
POLICY = Path("/usr/sbin/policy-rc.d")
# How long one download or build may take.
INSTALL_LIMIT_S = 900


class Missing(Exception):
    """Something the step needs cannot be had; the message says what to do."""


def cache():
    """The cache directory: WSBENCH_SERVERS_CACHE, or one in the system's temporary directory."""
    place = os.environ.get("WSBENCH_SERVERS_CACHE") or Path(tempfile.gettempdir()) / f"wsbench-servers-{os.getuid()}"
    place = Path(place)
    place.mkdir(parents=True, exist_ok=True)
    return place


def npm():
    """The npm servers of package-lock.json, next to a copy of our own sources so that imports resolve."""
    need("node", "npm")
    place = cache() / f"npm-{digest(HERE / 'package-lock.json')}"

    def fill(into):
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, into)
        call(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"], cwd=into)

    once(place, fill)
    for source in list(HERE.glob("*.mjs")) + list(HERE.glob("*/*.mjs")):
        copy = place / source.relative_to(HERE)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(source, copy)
    return place


def pip(requirements="requirements.txt"):
    """The Python interpreter of a virtual environment holding the servers of a requirements file."""
    need(sys.executable)
    listed = HERE / requirements
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    place = cache() / f"{listed.stem}-{version}-{digest(listed)}"
    hashes = ["--require-hashes", "--only-binary", ":all:"] if "--hash=" in listed.read_text() else []

    def fill(into):
        call([sys.executable, "-m", "venv", into / "venv"])
        # What is imported is compiled then; compiling all there is takes longer than unpacking it.
        call([into / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-compile", *hashes, "-r", listed])

    # A virtual environment knows its own path, so it is made where it will stay.
    once(place, fill, in_place=True)
    return place / "venv/bin/python"


def tungstenite_example():
    """The example chat server of tokio-tungstenite, built from the very crate Cargo.lock pins."""
    need("cargo")
    facts = json.loads(call(["cargo", "metadata", "--format-version", "1", "--locked"], cwd=ROOT))
    crates = [p for p in facts["packages"] if p["name"] == "tokio-tungstenite"]
    if not crates:
        raise Missing("Cargo.lock names no tokio-tungstenite, whose example chat server is one of the real servers")
    source, version = Path(crates[0]["manifest_path"]).parent, crates[0]["version"]
    if not (source / "examples/server.rs").is_file():
        raise Missing(f"tokio-tungstenite {version} ships no examples/server.rs any more")
    place = cache() / f"tokio-tungstenite-{version}"

    def fill(into):
        shutil.copytree(source, into, dirs_exist_ok=True)
        call(["cargo", "build", "--quiet", "--locked", "--example", "server"], cwd=into, env={"CARGO_TARGET_DIR": str(into / "target")})

    once(place, fill)
    return place / "target/debug/examples/server"


def gorilla_chat():
    """Our Go chat server, built on Debian's golang-github-gorilla-websocket-dev."""
    need("go")
    source = HERE / "gorilla/chat.go"
    place = cache() / f"gorilla-{digest(source)}"

    def fill(into):
        shutil.copy(source, into)
        env = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(into / "cache"), "GOFLAGS": ""}
        call(["go", "build", "-o", "chat", "chat.go"], cwd=into, env=env)

    once(place, fill)
    return place / "chat"


DEBIAN = {
    "nginx": ["nginx-core", "libnginx-mod-nchan"],
    "nats-server": ["nats-server"],
    "mosquitto": ["mosquitto"],
    "go": ["golang-go", "golang-github-gorilla-websocket-dev"],
    "puma": ["ruby-actioncable", "puma"],
    "tomcat": ["tomcat10", "tomcat10-examples"],
}

PROBES = {
    "nginx": lambda: which("nginx") and Path("/usr/lib/nginx/modules/ngx_nchan_module.so").exists(),
    "nats-server": lambda: which("nats-server"),
    "mosquitto": lambda: which("mosquitto"),
    "go": lambda: which("go") and Path("/usr/share/gocode/src/github.com/gorilla/websocket").exists(),
    "puma": lambda: which("puma") and any(Path("/usr/share").glob("rubygems-integration/*/specifications/actioncable-*")),
    "tomcat": lambda: Path("/usr/share/tomcat10/bin/catalina.sh").exists() and Path("/usr/share/tomcat10-examples").exists(),
}


def debian(names):
    """Installs those of the Debian servers that are missing, once; their own services are kept from starting."""
    with APT_LOCK:
        if refused := [NOT_HAD[name] for name in names if name in NOT_HAD]:
            raise Missing(refused[0])
        try:
            debian_now(names)
        except Missing as error:
            NOT_HAD.update((name, str(error)) for name in names if not PROBES[name]())
            raise


def debian_now(names):
    """See `debian`."""
    missing = [name for name in names if not PROBES[name]()]
    if not missing:
        return
    packages = [package for name in missing for package in DEBIAN[name]]
    root = [] if os.getuid() == 0 else ["sudo", "-n"]
    if not all(shutil.which(program) for program in ["apt-get", *root[:1]]):
        raise Missing(f"not installed: {', '.join(missing)}; as root: apt-get install {' '.join(packages)}")
    ours = not root and not POLICY.exists()
    if ours:
        # It forbids nothing any more once this process is gone, however it went.
        POLICY.write_text(f"#!/bin/sh\nkill -0 {os.getpid()} 2>/dev/null && exit 101\nexit 0\n")
        POLICY.chmod(0o755)
    try:
        apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]
        call([*apt, "update", "-qq"])
        call([*apt, "install", "-y", "-qq", "--no-install-recommends", *packages])
    finally:
        if ours:
            POLICY.unlink()
    still = [name for name in missing if not PROBES[name]()]
    if still:
        raise Missing(f"installed, and still not found: {', '.join(still)}")


def which(name):
    """As shutil.which, but looks where daemons live too."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def need(*programs):
    """Raises Missing for the first program that is not there."""
    for program in programs:
        if not which(str(program)):
            raise Missing(f"`{program}` is not installed, and the real servers need it")


def digest(path):
    """A short name for a file's contents."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def once(place, fill, in_place=False):
    """Fills a place in the cache unless it is there; a fill that is cut short leaves nothing that looks finished."""
    with LOCKS_LOCK:
        lock = LOCKS.setdefault(place, threading.Lock())
    with lock:
        if not (place / ".complete").exists():
            fill_place(place, fill, in_place)


def fill_place(place, fill, in_place):
    """See `once`."""
    shutil.rmtree(place, ignore_errors=True)
    into = place if in_place else Path(tempfile.mkdtemp(prefix=place.name + ".", dir=place.parent))
    into.mkdir(parents=True, exist_ok=True)
    try:
        fill(into)
        if not in_place:
            into.rename(place)
        (place / ".complete").touch()
    except BaseException:
        shutil.rmtree(into, ignore_errors=True)
        raise


def call(command, cwd=None, env=None):
    """Runs a command and returns what it printed; on failure raises Missing with the end of what it said."""
    env = {**os.environ, **(env or {})}
    try:
        code, out, err = processes.said(command, INSTALL_LIMIT_S, cwd=cwd, env=env)
    except processes.TooLong as error:
        raise Missing(str(error)) from None
    if code != 0:
        said = (out + err).strip().splitlines()[-15:]
        raise Missing(f"`{' '.join(str(part) for part in command)}` ended with {code}:\n    " + "\n    ".join(said))
    return out
