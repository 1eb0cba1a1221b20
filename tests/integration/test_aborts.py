"""A thousand streams of every kind, given up at any moment by clients and by nodes, over plain TCP and
over TLS: descriptors, files and memory are afterwards what they were, and nobody is stuck."""

import collections
import contextlib
import os
import random
import threading
import time

import pytest

from lab import http
from lab.fake_engine import answer, container
from lab.waiting import in_parallel, wait_until

SEED = 1
WARM_UP, STREAMS, AT_ONCE = 300, 1000, 8
KIB, MIB = 1 << 10, 1 << 20
TARGET = "c" * 64
BODY = bytes(256 * KIB)
UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}

Kind = collections.namedtuple("Kind", "method target body headers path")
# path: as the engine sees it.
KINDS = {
    "pull": Kind("POST", "/images/create?fromImage=some&tag=1", None, {}, "/images/create$"),
    "load": Kind("POST", "/images/load?quiet=1", BODY, {}, "/images/load$"),
    "build": Kind("POST", "/build?t=made", BODY, {}, "/build$"),
    "logs": Kind("GET", "/containers/target/logs?follow=1&stdout=1", None, {}, "/logs$"),
    "archive down": Kind("GET", "/containers/target/archive?path=/x", None, {}, "/archive$"),
    "archive up": Kind("PUT", "/containers/target/archive?path=/x", BODY, {}, "/archive$"),
    "attach": Kind(
        "POST", "/containers/target/attach?stream=1&stdin=1&stdout=1", None, UPGRADE, "/attach$"
    ),
    "events": Kind("GET", "/events", None, {}, None),
}
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
RAW = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def event():
    now = time.time_ns()
    actor = {"ID": TARGET, "Attributes": {}}
    times = {"time": now // 10**9, "timeNano": now}
    return {"Type": "container", "Action": "top", "Actor": actor, **times}


class Moment:
    """How far one end goes before it gives up, and how."""

    def __init__(self, key):
        self.chance = random.Random(f"{SEED} {key}")
        self.bytes = self.chance.randrange(self.chance.choice([KIB, 64 * KIB, 512 * KIB]))
        self.is_reset = self.chance.random() < 0.5

    def pieces(self):
        """Sizes that come to the bytes, now and then with a pause before one."""
        left = self.bytes
        while left > 0:
            if self.chance.random() < 0.1:
                time.sleep(self.chance.random() / 100)
            size = min(left, self.chance.choice([1, 100, 16 * KIB, 64 * KIB]))
            left -= size
            yield size


class Breaking:
    """A behaviour of an engine: takes the body, answers without end, and breaks off somewhere."""

    def __init__(self, kind, key):
        self.kind, self.key = kind, key
        self.begun = 0
        self.lock = threading.Lock()

    def __call__(self, c, request):
        with self.lock:
            self.begun += 1
            moment = Moment(f"{self.key} {self.begun}")
        try:
            self._serve(c, request, moment)
        except OSError:
            return False  # the manager gave up first
        if moment.is_reset:
            c.setsockopt(http.socket.SOL_SOCKET, http.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False

    def _serve(self, c, request, moment):
        missing = len(self.kind.body or b"") - len(request.body)
        pieces = moment.pieces()
        while missing > 0:
            size = next(pieces, None)
            if size is None:
                return
            data = c.recv(min(size, missing))
            if not data:
                return
            missing -= len(data)
        is_raw = bool(self.kind.headers)
        c.sendall(RAW if is_raw else CHUNKED)
        for size in pieces:
            line = b'{"status":"%s"}\n' % (b"x" * size)
            c.sendall(line if is_raw else b"%x\r\n%s\r\n" % (len(line), line))


def give_up(m, kind, moment):
    """One client: sends and reads until it has enough, or until the node has."""
    c = http.Connection(m.way, 30)
    try:
        pieces = moment.pieces()
        headers = kind.headers or {"Connection": "close"}
        if kind.body:
            headers = {**headers, "Content-Length": str(len(kind.body))}
        c.send_request(kind.method, kind.target, headers=headers)
        rest = kind.body
        while rest and (size := next(pieces, 0)):
            c.send(rest[:size])
            rest = rest[size:]
        if rest and moment.chance.random() < 0.5:
            # A client is quicker than the manager's handshake with an engine.
            time.sleep(0.05)
        if kind.headers and moment.bytes and c.read_head().status != 101:
            return  # an error, after which the connection stays
        for size in pieces:
            if kind.path is None:
                # Of events there is no end, and none come while a node is away.
                c.stream.settimeout(0.2)
                m.engines[size % 2].emit(event())
            if not c.stream.recv(size):
                break
    except TimeoutError:
        if kind.path:
            raise AssertionError(f"{kind.method} {kind.target} is stuck") from None
    except OSError:
        pass  # the node gave up first, and the manager told
    finally:
        with contextlib.suppress(OSError):
            c.stream.reset() if moment.is_reset else c.close()


@pytest.fixture(params=["plain", "tls"])
def cluster(request, fake, manager, certs, tmp_path, monkeypatch):
    """A manager over two engines in Python, one of which has a container, and its folder for files."""
    spool = tmp_path / "spool"
    spool.mkdir()
    monkeypatch.setenv("TMPDIR", str(spool))
    tls = {}
    served = None
    if request.param == "tls":
        served = certs.server("fake", ips=["127.0.0.1"])
        tls = {"tls": certs.server("manager", ips=["127.0.0.1"]), "client": certs.client()}
    engines = [fake(name, tls=served) for name in ("one", "two")]
    engines[0].containers = [container(TARGET, "target")]
    for engine in engines:
        engine.breaking = {}
        for name, kind in KINDS.items():
            if kind.path:
                engine.breaking[name] = Breaking(kind, f"{engine.name} {name}")
                on = engine.on_head if kind.body else engine.on
                on(kind.method, kind.path, engine.breaking[name])
    m = manager(engines, **tls)
    m.engines, m.spool, m.way = engines, spool, m.address
    if tls:
        m.way = ("tls", m.addr, http.tls_context(m.client))
    return m


def abort_many(m, count, key):
    """So many of every kind in turn; now and then a node loses all of its connections at once."""
    kinds = list(KINDS.values())

    def turn(i):
        if i % 100 == 99:
            m.engines[i // 100 % 2].drop_connections()
        give_up(m, kinds[i % len(kinds)], Moment(f"{key} {i}"))

    in_parallel(turn, range(count), AT_ONCE)


def files(m):
    """What the manager keeps on disk, by name or without one."""
    kept = list(os.listdir(m.spool))
    for fd in os.listdir(f"/proc/{m.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            path = os.readlink(f"/proc/{m.pid}/fd/{fd}")
            if path.endswith(" (deleted)"):
                kept.append(path)
    return kept


def settle(m):
    """Nothing is under way any more: what an engine has open are events and idle connections."""
    m.wait_healthy(2)
    wait_until(lambda: all(e.open_connections() <= 10 for e in m.engines), "the engines' ends")
    wait_until(lambda: not files(m), "the files to go")


def test_a_thousand_streams(cluster):
    abort_many(cluster, WARM_UP, "before")
    settle(cluster)
    descriptors, rss = cluster.descriptors(), cluster.rss()
    abort_many(cluster, STREAMS, "counted")
    settle(cluster)
    wait_until(
        lambda: cluster.descriptors() <= descriptors + 4, "the descriptors to be as before"
    )
    assert cluster.rss() - rss < 32 * MIB
    # Few were given up before an engine knew.
    for name in cluster.engines[0].breaking:
        begun = sum(e.breaking[name].begun for e in cluster.engines)
        assert begun > STREAMS // len(KINDS) // 4, name
    # And all of it works still.
    for engine in cluster.engines:
        engine.behave()
        engine.on("GET", "/logs$", lambda c, r: c.sendall(answer(200, b"all of it")) or True)
        engine.on("POST", "/images/load$", lambda c, r: c.sendall(answer(200, {})) or True)
    for _ in range(20):
        assert cluster.request("GET", "/containers/target/logs?stdout=1").body == b"all of it"
        assert cluster.request("POST", "/images/load", BODY).status == 200
