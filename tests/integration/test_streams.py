"""Raw streams and long bodies: half-close both ways, clients that leave, bounded memory."""

import io
import json
import os
import socket
import tarfile
import threading
import time

import pytest

from lab import http
from lab.engine import IMAGE
from lab.fake_engine import answer, container
from lab.waiting import in_parallel, wait_until

UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}
MIB = 1 << 20


@pytest.fixture(params=["tcp", "unix", "tls"])
def cluster(request, manager, machine, certs):
    """A manager and its real engines, reached in each of the three ways; TLS on both sides."""
    if request.param == "tls":
        engines = request.getfixturevalue("tls_engines")
        m = manager(
            engines, tls=certs.server("manager", ips=["127.0.0.1"]), client=certs.client()
        )
        m.way = m.address
    else:
        engines = request.getfixturevalue("three")
        m = manager(engines, unix=True)
        m.way = m.address if request.param == "tcp" else m.unix_address
    return m


def attach(m, name, query="stream=1&stdin=1&stdout=1&stderr=1", headers=UPGRADE):
    c = http.Connection(m.way)
    c.send_request("POST", f"/containers/{name}/attach?{query}", headers=headers)
    return c, c.read_head()


def interactive(m, *command, **config):
    return m.run(
        **config, Cmd=list(command), OpenStdin=True, StdinOnce=True, AttachStdin=True
    )


# ---- half-close ----


@pytest.mark.parametrize("headers", [UPGRADE, {}], ids=["upgrade", "old"])
def test_half_close_of_the_client(cluster, headers):
    """The client ends its half; the program reads the end of its input, and answers after it."""
    name = interactive(cluster, "sh", "-c", "wc -c; sleep 0.5; echo after the end")
    c, head = attach(cluster, name, headers=headers)
    assert head.status == (101 if headers else 200), head
    if headers:
        assert head.header("Upgrade") == "tcp"
        assert head.header("Connection").lower() == "upgrade"
    assert head.header("Content-Type") in (
        "application/vnd.docker.raw-stream",
        "application/vnd.docker.multiplexed-stream",
    )
    c.send(b"z" * 100000)
    c.stream.shutdown_write()
    assert http.stdout_of(c.read_to_end()) == b"100000\nafter the end\n"
    c.close()


def test_half_close_of_the_engine(cluster):
    """The program ends; the client reads the end at once, though it goes on writing."""
    name = interactive(cluster, "sh", "-c", "read x; echo got $x")
    c, head = attach(cluster, name)
    assert head.status == 101
    c.send(b"word\n")
    assert http.stdout_of(c.read_to_end()) == b"got word\n"
    c.close()


def test_echo_of_much_data(cluster):
    """Both directions at once, 16 MiB each way, byte for byte."""
    name = interactive(cluster, "cat")
    c, head = attach(cluster, name)
    assert head.status == 101
    data = os.urandom(MIB) * 16
    if cluster.way[0] == "tls":
        # One thread at a time may use a TLS stream: in turns.
        piece, got = 65536, b""
        for i in range(0, len(data), piece):
            c.send(data[i : i + piece])
            want = i + piece
            while len(got) < want:
                head = c.read_exactly(8)
                got += c.read_exactly(int.from_bytes(head[4:], "big"))
        c.stream.shutdown_write()
        assert got == data
        assert c.read_to_end() == b""
    else:
        writer = threading.Thread(target=lambda: (c.send(data), c.stream.shutdown_write()))
        writer.start()
        assert http.stdout_of(c.read_to_end()) == data
        writer.join()
    c.close()


def test_exec_stream(cluster):
    cluster.run("ex")
    made = cluster.json(
        "POST",
        "/containers/ex/exec",
        {"Cmd": ["cat"], "AttachStdin": True, "AttachStdout": True},
    )
    with http.Connection(cluster.way) as c:
        c.send_request("POST", f"/exec/{made['Id']}/start", {"Detach": False}, UPGRADE)
        assert c.read_head().status == 101
        c.send("through")
        c.stream.shutdown_write()
        assert http.stdout_of(c.read_to_end()) == b"through"
    inspected = cluster.json("GET", f"/exec/{made['Id']}/json")
    assert (inspected["Running"], inspected["ExitCode"]) == (False, 0)


def test_bytes_sent_with_the_request(cluster):
    """What a client sends right behind the head belongs to the stream."""
    name = interactive(cluster, "cat")
    with http.Connection(cluster.way) as c:
        c.send(
            f"POST /containers/{name}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: x\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\nearly"
        )
        assert c.read_head().status == 101
        c.stream.shutdown_write()
        assert http.stdout_of(c.read_to_end()) == b"early"


def test_detached_exec_is_plain(cluster):
    """No stream, so the next request on the connection is answered by the manager."""
    cluster.run("ex")
    with http.Connection(cluster.way) as c:
        made = c.request("POST", "/containers/ex/exec", {"Cmd": ["true"]}).json()
        started = c.request("POST", f"/exec/{made['Id']}/start", {"Detach": True})
        assert started.status == 200, started
        assert c.request("GET", "/version").json()["Version"].startswith("swarm/")


def test_attach_that_is_refused(cluster):
    """An error is an answer, not a stream, and the last of its connection."""
    cluster.create("never-started")
    with http.Connection(cluster.way) as c:
        reply = c.request("POST", "/containers/none/attach?stream=1&stdout=1", headers=UPGRADE)
        assert reply.status == 404
        assert "No such container: none" in reply.message()
        assert c.is_closed()
    with http.Connection(cluster.way) as c:
        reply = c.request("POST", "/exec/none/start", {"Detach": False}, UPGRADE)
        assert reply.status == 404, reply
    with http.Connection(cluster.way) as c:
        reply = c.request("GET", "/_ping", headers=UPGRADE)
        assert reply.status == 200, "an upgrade is offered, not demanded"


# ---- the last bytes are never lost ----


def test_fast_programs(cluster):
    """Programs that end at once: all they wrote arrives, and the stream ends, every time."""
    with http.Connection(cluster.way) as control:
        for turn in range(20):
            name = control.request(
                "POST",
                "/containers/create",
                {"Image": IMAGE, "Cmd": ["echo", f"turn {turn}"], "AttachStdout": True},
            ).json()["Id"]
            c, head = attach(cluster, name, "stream=1&stdout=1")
            assert head.status == 101
            assert control.request("POST", f"/containers/{name}/start").status == 204
            assert http.stdout_of(c.read_to_end()) == f"turn {turn}\n".encode()
            c.close()
            waited = control.request("POST", f"/containers/{name}/wait").json()
            assert waited["StatusCode"] == 0


# ---- a client that goes away ----


@pytest.fixture
def slow(fake, manager):
    """A manager over one engine in Python with one container, for looking at both ends."""
    engine = fake("slow")
    engine.containers = [container("c" * 64, "target")]
    m = manager([engine])
    m.engine = engine
    return m


class Held:
    """A behaviour: sends the given bytes, then waits until the manager closes; ended is set."""

    def __init__(self, first):
        self.first = first
        self.begun, self.ended = threading.Event(), threading.Event()

    def __call__(self, c, request):
        c.sendall(self.first)
        self.begun.set()
        try:
            while c.recv(65536):
                pass
        except OSError:
            pass
        self.ended.set()
        return False


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nline\r\n"
RAW = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    "method, path, first",
    [
        ("GET", "/containers/target/logs?follow=1&stdout=1", CHUNKED),
        ("GET", "/containers/target/stats", CHUNKED),
        ("POST", "/containers/target/wait", b""),
        ("GET", "/containers/target/export", CHUNKED),
        ("POST", "/containers/target/attach?stream=1&stdout=1", RAW),
    ],
    ids=["logs", "stats", "wait", "export", "attach"],
)
def test_client_goes_away(slow, method, path, first, how):
    held = Held(first)
    slow.engine.on(method, path.split("?")[0].replace("target", "c{64}") + "$", held)
    c = slow.connect()
    c.send_request(method, path, headers=UPGRADE if "attach" in path else ())
    assert held.begun.wait(10)
    if first:
        assert c.read_head().status in (200, 101)
    assert not held.ended.is_set()
    getattr(c.stream, how)()
    assert held.ended.wait(3), "the engine's end was not closed"


def test_clients_that_leave_leave_nothing_behind(slow):
    """300 clients that go away in the middle: no descriptor stays."""
    slow.engine.on("GET", "/logs$", Held(CHUNKED))

    def visit(_):
        c = slow.connect()
        c.send_request("GET", "/containers/target/logs?follow=1&stdout=1")
        c.read_head()
        c.close()

    in_parallel(visit, range(50), 10)
    wait_until(lambda: slow.engine.open_connections() <= 12, "the first to be closed")
    before = slow.descriptors()
    in_parallel(visit, range(300), 10)
    wait_until(lambda: slow.descriptors() <= before + 10, "the descriptors to be closed")
    wait_until(lambda: slow.engine.open_connections() <= 12, "the engine's end to be closed")


def test_engine_ends_in_the_middle(slow):
    """A body that is cut short never looks complete."""

    def cut(c, request):
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: x/y\r\nContent-Length: 100\r\n\r\nhalf")
        return False

    def cut_chunked(c, request):
        c.sendall(CHUNKED)
        return False

    for behaviour in (cut, cut_chunked):
        slow.engine.behave()
        slow.engine.on("GET", "/export$", behaviour)
        with slow.connect() as c:
            c.send_request("GET", "/containers/target/export")
            with pytest.raises(OSError):
                head = c.read_head()
                c.read_body(head)
                if head.status == 502:
                    raise http.Ended("refused before anything was sent")


# ---- bodies stream ----


def test_download_is_bounded(slow):
    """A client that does not read: the engine is made to wait, the manager holds little."""
    sent = [0]
    stop = threading.Event()

    def flood(c, request):
        c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"%x\r\n%s\r\n" % (MIB, b"x" * MIB)
        c.settimeout(2)
        try:
            while sent[0] < 512 * MIB and not stop.is_set():
                c.sendall(block)
                sent[0] += MIB
        except TimeoutError:
            pass
        return False

    slow.engine.on("GET", "/export$", flood)
    before = slow.rss()
    with slow.connect() as c:
        c.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        c.send_request("GET", "/containers/target/export")
        assert c.read_head().status == 200
        last, since = -1, time.monotonic()
        while time.monotonic() - since < 1:
            if sent[0] != last:
                last, since = sent[0], time.monotonic()
            assert sent[0] < 128 * MIB, "nobody holds the engine back"
            time.sleep(0.02)
        # The rest of the API is as quick as ever.
        assert slow.request("GET", "/_ping", timeout=2).status == 200
        assert slow.rss() - before < 64 * MIB
    stop.set()


def test_upload_is_bounded(slow):
    """An engine that does not read: the client is made to wait."""
    taken = threading.Event()

    def deaf(c, request):
        taken.wait(20)
        return False

    # The body never comes to the behaviour, since the engine stops reading before: by size.
    slow.engine.on("PUT", "/archive$", deaf)
    listener = _deaf_engine(slow)
    before = slow.rss()
    with slow.connect() as c:
        c.send(
            "PUT /containers/target/archive?path=/ HTTP/1.1\r\nHost: x\r\n"
            f"Content-Type: application/x-tar\r\nContent-Length: {512 * MIB}\r\n\r\n"
        )
        c.stream.settimeout(1.5)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 256 * MIB:
                c.send(b"x" * MIB)
                sent += MIB
        assert sent < 128 * MIB
        assert slow.rss() - before < 64 * MIB
        assert slow.request("GET", "/_ping", timeout=2).status == 200
    taken.set()
    listener()


def _deaf_engine(m):
    """Makes the engine's reader stop at bodies of archives; returns a function that undoes it."""
    engine = m.engine
    original, gate = engine._recv, threading.Event()

    def recv(c):
        gate.wait(20)
        return original(c)

    engine._recv = recv

    def undo():
        gate.set()
        engine._recv = original

    return undo


def test_large_copy_through_real_engines(cluster):
    """64 MiB into a container and out again, the same bytes."""
    cluster.run("big")
    data = os.urandom(MIB) * 64
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        entry = tarfile.TarInfo("blob")
        entry.size = len(data)
        out.addfile(entry, io.BytesIO(data))
    put = http.request(
        cluster.way, "PUT", "/containers/big/archive?path=/tmp", tar.getvalue(), timeout=60
    )
    assert put.status == 200, put
    head = http.request(cluster.way, "HEAD", "/containers/big/archive?path=/tmp/blob")
    assert head.status == 200 and head.header("X-Docker-Container-Path-Stat")
    got = http.request(cluster.way, "GET", "/containers/big/archive?path=/tmp/blob", timeout=60)
    assert got.status == 200
    with tarfile.open(fileobj=io.BytesIO(got.body)) as tar:
        assert tar.extractfile("blob").read() == data


def test_chunked_upload(cluster):
    cluster.run("chk")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        entry = tarfile.TarInfo("file")
        entry.size = 5
        out.addfile(entry, io.BytesIO(b"hello"))
    data = tar.getvalue()
    with http.Connection(cluster.way) as c:
        c.send(
            "PUT /containers/chk/archive?path=/tmp HTTP/1.1\r\nHost: x\r\n"
            "Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for i in range(0, len(data), 1000):
            piece = data[i : i + 1000]
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        c.send("0\r\n\r\n")
        assert c.read_reply().status == 200
        # And the connection is still in step.
        assert c.request("GET", "/_ping").body == b"OK"


def test_expect_continue(cluster):
    with http.Connection(cluster.way) as c:
        body = json.dumps({"Image": IMAGE, "Cmd": ["true"]}).encode()
        c.send(
            "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
        )
        assert c.read_head().status == 100
        c.send(body)
        assert c.read_reply().status == 201


def test_pipelined_requests(cluster):
    """Answers come in order, on one connection."""
    with http.Connection(cluster.way) as c:
        for path in ("/_ping", "/version", "/nothing", "/_ping"):
            c.send_request("GET", path)
        replies = [c.read_reply() for _ in range(4)]
    assert [r.status for r in replies][:2] == [200, 200]
    assert replies[1].json()["Version"].startswith("swarm/")
    assert replies[2].status in (404, 501)
    assert replies[3].body == b"OK"


def test_old_client_gets_no_chunks(cluster):
    """HTTP/1.0: the end of the connection is the end of the body."""
    with http.Connection(cluster.way) as c:
        c.send("GET /version HTTP/1.0\r\n\r\n")
        head = c.read_head()
        assert head.status == 200
        assert head.header("Transfer-Encoding") is None
        assert json.loads(c.read_body(head))["Version"].startswith("swarm/")


# ---- TLS alone ----


@pytest.fixture
def tls_manager(manager, tls_engines, certs):
    m = manager(
        tls_engines, tls=certs.server("manager", ips=["127.0.0.1"]), client=certs.client()
    )
    m.way = m.address
    return m


def test_tls_that_is_cut_off(tls_manager):
    """A client that sends FIN without close_notify has gone, or closed its half; one that has gone
    is found out when something is written to it, and nothing of it is kept."""
    m = tls_manager
    name = m.run(Cmd=["cat"], OpenStdin=True)
    before = m.descriptors()
    for _ in range(10):
        c, head = attach(m, name)
        assert head.status == 101
        c.send("x")
        c.stream.shutdown_tcp()
        c.close()
    wait_until(lambda: m.descriptors() <= before + 5, "its descriptors to be closed")
    assert m.request("GET", "/_ping").status == 200


def test_tls_half_close_by_tcp_alone(tls_manager):
    """What clients do whose library has no half-close for TLS; engines take it for one."""
    m = tls_manager
    name = interactive(m, "sh", "-c", "wc -c; sleep 0.5; echo after the end")
    c, head = attach(m, name)
    assert head.status == 101
    c.send(b"z" * 100000)
    c.stream.shutdown_tcp()
    assert http.stdout_of(c.read_to_end()) == b"100000\nafter the end\n"
    c.close()


def test_answer_of_error_while_uploading(slow):
    """The engine answers before it has read the body: the client gets that answer."""

    def early(c):
        c.sendall(answer(403, {"message": "not here"}, reason="Forbidden"))
        raise OSError("no more")

    original = slow.engine._recv
    slow.engine._recv = early
    try:
        with slow.connect() as c:
            c.send(
                "PUT /containers/target/archive?path=/ HTTP/1.1\r\nHost: x\r\n"
                "Content-Type: application/x-tar\r\nContent-Length: 1000000\r\n\r\n"
            )
            try:
                for _ in range(10):
                    c.send(b"x" * 100000)
            except OSError:
                pass
            reply = c.read_reply()
            assert reply.status in (403, 502), reply
    finally:
        slow.engine._recv = original
