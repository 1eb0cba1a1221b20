"""Connections that become raw streams: WebSockets, and BuildKit's sessions. Where they go, what of
them is passed on, and how they end."""

import base64
import functools
import hashlib
import os
import socket
import struct
import threading
import urllib.parse

import pytest

from lab import http
from lab.fake_engine import answer
from lab.waiting import in_parallel, wait_until

H2C = {"Connection": "Upgrade", "Upgrade": "h2c"}
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


# ---- WebSockets ----


class WebSocket:
    """A client of RFC 6455, as far as it goes here."""

    def __init__(self, address, target, headers=()):
        key = base64.b64encode(os.urandom(16)).decode()
        self.connection = http.Connection(address)
        self.connection.send_request(
            "GET",
            target,
            headers={
                **{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": key},
                **{"Sec-WebSocket-Version": "13", "Origin": "http://localhost"},
                **dict(headers),
            },
        )
        self.head = self.connection.read_head()
        if self.head.status == 101:
            accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            assert self.head.header("Sec-WebSocket-Accept") == accept
            assert self.head.header("Upgrade").lower() == "websocket"
            assert self.head.header("Connection").lower() == "upgrade"

    def send(self, data, opcode=2):
        mask = os.urandom(4)
        size = len(data)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 1 << 16:
            head = struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0xFF, size)
        whole, rest = divmod(size, 4)
        key = mask * whole + mask[:rest]
        masked = int.from_bytes(data, "big") ^ int.from_bytes(key, "big")
        self.connection.send(head + mask + masked.to_bytes(size, "big"))

    def receive(self):
        """(opcode, payload) of the next frame."""
        first, size = self.connection.read_exactly(2)
        assert not size & 0x80, "a server does not mask"
        if size == 126:
            (size,) = struct.unpack("!H", self.connection.read_exactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.connection.read_exactly(8))
        return first & 0x0F, self.connection.read_exactly(size)

    def receive_data(self, size):
        out = b""
        while len(out) < size:
            opcode, data = self.receive()
            assert opcode in (0, 1, 2), (opcode, data)
            out += data
        return out

    def is_closed(self):
        """Reads up to the end of it, or to its closing frame."""
        try:
            while self.receive()[0] != 8:
                pass
        except (http.Ended, ConnectionResetError):
            pass
        return True

    def close(self):
        self.connection.close()


def interactive(m, *command):
    return m.run(Cmd=list(command), OpenStdin=True, StdinOnce=True, AttachStdin=True)


WS = "/containers/{}/attach/ws?stream=1&stdin=1&stdout=1&stderr=1"


@pytest.fixture(params=["plain", "tls"])
def cluster(request, manager, certs):
    if request.param == "plain":
        return manager(request.getfixturevalue("three"))
    engines = request.getfixturevalue("tls_engines")
    return manager(engines, tls=certs.server("manager", ips=["127.0.0.1"]), client=certs.client())


def test_websocket_echo(cluster):
    name = interactive(cluster, "cat")
    ws = WebSocket(cluster.address, WS.format(name))
    assert ws.head.status == 101, ws.head
    ws.send(b"hello\n")
    assert ws.receive_data(6) == b"hello\n"
    for size in (1, 200, 30000):
        data = os.urandom(size).replace(b"\n", b"x")
        ws.send(data)
        assert ws.receive_data(size) == data
    ws.close()


def test_websocket_ends_with_the_container(cluster):
    name = interactive(cluster, "sh", "-c", "read x; echo got $x")
    ws = WebSocket(cluster.address, WS.format(name))
    ws.send(b"word\n")
    assert ws.receive_data(9) == b"got word\n"
    assert ws.is_closed()
    ws.close()


def test_websocket_refusals(three, manager):
    m = manager(three)
    ws = WebSocket(m.address, WS.format("nothing"))
    assert ws.head.status == 404, ws.head
    ws.close()
    name = m.run()
    for headers in ({}, {"Connection": "Upgrade", "Upgrade": "tcp"}):
        reply = m.request("GET", WS.format(name), headers=headers)
        assert reply.status == 400, reply
        assert "websocket" in reply.message()
    # Without a key it is no WebSocket; the engine says so.
    reply = m.request(
        "GET", WS.format(name), headers={"Connection": "Upgrade", "Upgrade": "websocket"}
    )
    assert reply.status == 400, reply


def test_web_pages_are_kept_out(three, manager):
    """A page may open a WebSocket to any address, and send simple requests."""
    m = manager(three)
    name = interactive(m, "cat")
    ws = WebSocket(m.address, WS.format(name), headers={"Origin": "https://evil.example"})
    assert ws.head.status == 403, ws.head
    ws = WebSocket(m.address, WS.format(name), headers={"Host": "evil.example"})
    assert ws.head.status == 421, ws.head
    for headers in ({"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert m.request("POST", "/containers/prune", headers=headers).status == 403
    assert [c["Id"] for c in m.json("GET", "/containers/json")] == [name]


def test_websockets_leave_nothing(three, manager):
    m = manager(three)
    names = in_parallel(lambda _: interactive(m, "cat"), range(3))
    idle = m.descriptors()
    for i in range(60):
        ws = WebSocket(m.address, WS.format(names[i % 3]))
        assert ws.head.status == 101
        if i % 2:
            ws.send(b"x" * 1000)
            ws.connection.stream.reset()
        else:
            ws.close()
    wait_until(lambda: m.descriptors() <= idle + 8, "descriptors to be closed", 30)


def test_websocket_and_node_that_goes(three, manager):
    m = manager(three)
    name = interactive(m, "cat")
    (engine,) = [e for e in three if any(c["Id"] == name for c in e.containers())]
    ws = WebSocket(m.address, WS.format(name))
    assert ws.head.status == 101
    engine.kill()
    assert ws.is_closed()
    ws.close()


# ---- BuildKit's streams ----


def echo(c, request):
    """Becomes a stream that sends back what comes, until its end."""
    token = request.header("Upgrade")
    c.sendall(f"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: {token}\r\n\r\n".encode())
    while data := c.recv(65536):
        c.sendall(data)
    return False


def prefers(engine, version):
    """Its builder, as its pings tell."""

    def ping(c, _):
        c.sendall(
            f"HTTP/1.1 200 OK\r\nBuilder-Version: {version}\r\nContent-Length: 2\r\n\r\nOK".encode()
        )
        return True

    engine.on("GET", "^/_ping$", ping)


@pytest.fixture
def fakes(fake, manager):
    """Three engines that echo, and their manager."""
    engines = [fake(f"fake-{i}") for i in range(3)]
    for engine in engines:
        engine.on("POST", "^/(grpc|session)$", echo)
    m = manager(engines, unix=True)
    m.engines = engines
    return m


def upgrade(m, path, headers=(), address=None, expect=101):
    c = http.Connection(address or m.address)
    c.send_request("POST", path, headers={**H2C, **dict(headers)})
    head = c.read_head()
    assert head.status == expect, head
    return c


def session(m, uuid, **kw):
    return upgrade(m, "/session", {"X-Docker-Expose-Session-Uuid": uuid}, **kw)


def who_has_seen(m, pattern):
    """The names of the engines that have, once for each time."""
    return [e.name for e in m.engines for _ in e.seen("POST", pattern)]


def test_streams_are_passed_on_as_they_are(fakes):
    headers = {
        "Connection": "Upgrade, HTTP2-Settings",
        "HTTP2-Settings": "AAMAAABkAAQAAP__",
        "X-Docker-Expose-Session-Uuid": "uuid-1",
        "X-Docker-Expose-Session-Name": "context",
        "X-Docker-Expose-Session-Sharedkey": "key",
        "X-Docker-Expose-Session-Grpc-Method": "/moby.filesync.v1.FileSync/DiffCopy",
    }
    for path in ("/session", "/grpc", "/v1.41/session", "/v1.41/grpc"):
        c = upgrade(fakes, path, headers)
        data = os.urandom(300000)
        sender = threading.Thread(target=c.send, args=(b"PRI * HTTP/2.0\r\n\r\n" + data,))
        sender.start()
        assert c.read_exactly(18 + len(data)) == b"PRI * HTTP/2.0\r\n\r\n" + data
        sender.join()
        c.stream.shutdown_write()
        assert c.read_to_end() == b""
        c.close()
    seen = [r for e in fakes.engines for r in e.seen("POST", "/(session|grpc)$")]
    assert len(seen) == 4
    for request in seen:
        assert request.target in ("/v1.41/session", "/v1.41/grpc")
        assert request.header("Upgrade") == "h2c"
        assert request.header("Connection") == "Upgrade"
        assert request.header("HTTP2-Settings") is None
        for name in headers:
            if name.startswith("X-"):
                assert request.header(name) == headers[name]


def test_only_h2c(fakes):
    for path in ("/session", "/grpc"):
        for headers in ({}, {"Upgrade": "h2c"}, {"Connection": "Upgrade", "Upgrade": "tcp"}):
            reply = fakes.request("POST", path, headers=headers)
            assert reply.status == 400, reply
            assert "h2c" in reply.message()
    assert who_has_seen(fakes, "/(session|grpc)$") == []


def test_refusal_of_the_engine(fakes):
    for engine in fakes.engines:
        engine.on("POST", "/grpc", lambda c, _: c.sendall(answer(418, {"message": "no tea"})))
    c = http.Connection(fakes.address)
    reply = c.request("POST", "/grpc", headers=H2C)
    assert (reply.status, reply.message()) == (418, "no tea")
    c.close()


def test_streams_of_a_client_go_to_one_node(fakes):
    streams = in_parallel(lambda i: upgrade(fakes, "/grpc"), range(1))
    streams += in_parallel(lambda i: upgrade(fakes, "/grpc"), range(6))
    streams += in_parallel(lambda i: session(fakes, f"uuid-{i}"), range(6))
    assert len(set(who_has_seen(fakes, "/(session|grpc)$"))) == 1
    # While they are open the home is fixed; a call that names another node goes there all the same.
    (home,) = set(who_has_seen(fakes, "/grpc$"))
    other = next(e.name for e in fakes.engines if e.name != home)
    streams.append(upgrade(fakes, "/grpc", {"X-Swarm-Node": other}))
    assert who_has_seen(fakes, "/grpc$").count(other) == 1
    streams.append(upgrade(fakes, "/grpc"))
    assert who_has_seen(fakes, "/grpc$").count(home) == 8
    # Another client has a home of its own, the next one in turn.
    streams.append(upgrade(fakes, "/grpc", address=fakes.unix_address))
    for c in streams:
        c.close()


def test_home_of_a_node_that_went_is_given_up(fakes):
    c = upgrade(fakes, "/grpc")
    (home,) = [e for e in fakes.engines if e.seen("POST", "/grpc$")]
    home.close()
    assert c.is_closed()
    c.close()
    fakes.wait_healthy(2, 40)
    c = upgrade(fakes, "/grpc")
    c.send("still here")
    assert c.read_exactly(10) == b"still here"
    c.close()


def test_build_and_session_meet(fakes):
    """Whichever comes first: the build tells where, and its session is there."""
    for engine in fakes.engines:
        engine.on("POST", "^/build$", lambda c, _: c.sendall(answer(200, {"stream": "ok"})) or True)
    for i, engine in enumerate(fakes.engines * 2):
        target = (
            f"/build?version=2&session=s{i}&remote=client-session&buildid=b{i}"
            f"&buildargs=%7B%22constraint%3Anode%22%3A%22%3D{engine.name}%22%7D"
        )
        before = [len(e.seen("POST", "/session$")) for e in fakes.engines]
        if i % 2:
            assert fakes.request("POST", target, b"").status == 200
            session(fakes, f"s{i}").close()
        else:
            # As clients do it: both at once, here with the session's request sent first.
            c = http.Connection(fakes.address)
            headers = {**H2C, "X-Docker-Expose-Session-Uuid": f"s{i}"}
            c.send_request("POST", "/session", headers=headers)
            assert fakes.request("POST", target, b"").status == 200
            assert c.read_head().status == 101
            c.close()
        after = [len(e.seen("POST", "/session$")) for e in fakes.engines]
        gained = [e.name for e, b, a in zip(fakes.engines, before, after) if a > b]
        assert gained == [engine.name]
        (build,) = engine.seen("POST", f"session=s{i}&")
        assert "constraint" not in build.target
        assert f"&remote=client-session&buildid=b{i}&buildargs=%7B%7D" in build.target


def test_build_that_its_session_rules_out(fakes):
    c = session(fakes, "early")
    (home,) = who_has_seen(fakes, "/session$")
    other = next(e.name for e in fakes.engines if e.name != home)
    reply = fakes.request("POST", f"/build?session=early&node={other}", b"")
    assert reply.status == 409, reply
    assert home in reply.message()
    c.close()


@pytest.mark.parametrize("is_held", [False, True], ids=["build-first", "session-first"])
def test_a_refused_build_waits_for_its_session(fakes, is_held):
    """A client of 20.10 that is refused before it opened its session hangs."""
    nowhere = "buildargs=%7B%22constraint%3Anode%22%3A%22%3Dnobody%22%7D"
    build, waiting = http.Connection(fakes.address), http.Connection(fakes.address)
    if is_held:
        headers = {**H2C, "X-Docker-Expose-Session-Uuid": "mine"}
        waiting.send_request("POST", "/session", headers=headers)
    build.send_request("POST", f"/build?session=mine&{nowhere}")
    if not is_held:
        session(fakes, "another").close()
        build.stream.settimeout(0.3)
        with pytest.raises(TimeoutError):
            build.read_head()
        build.stream.settimeout(15)
        session(fakes, "mine").close()
    reply = build.read_reply("POST")
    assert reply.status == 503, reply
    assert "Unable to find a node" in reply.message()
    if is_held:
        assert waiting.read_head().status == 101
    for c in (build, waiting):
        c.close()


def test_a_refused_build_without_a_session_ends(fakes):
    nowhere = "buildargs=%7B%22constraint%3Anode%22%3A%22%3Dnobody%22%7D"
    idle = fakes.descriptors()
    for query in (nowhere, f"{nowhere}&session=", f"{nowhere}&session=never"):
        assert fakes.request("POST", f"/build?{query}", b"").status == 503
    # One that is given up while it waits.
    for i in range(20):
        c = http.Connection(fakes.address)
        c.send_request("POST", f"/build?session=gone-{i}&{nowhere}")
        c.stream.reset()
    wait_until(lambda: fakes.descriptors() <= idle + 8, "descriptors to be closed", 30)


def test_query_passes_whole(fakes):
    """Each parameter as it was read, so that no engine reads it in another way."""
    query = "t=a%2Fb&dockerfile=x+y&labels=%7b%22a%22:%22b%22%7d&buildargs=%7B%22A%22%3a%22b%22%7d&odd=%FF"
    for engine in fakes.engines:
        engine.on("POST", "^/build$", lambda c, _: c.sendall(answer(200, b"{}")) or True)
    headers = {"X-Registry-Config": "e30=", "Content-Type": "application/x-tar"}
    reply = fakes.request("POST", f"/build?{query}", b"context", headers)
    assert (reply.status, reply.body) == (200, b"{}")
    (sent,) = [r for e in fakes.engines for r in e.seen("POST", "/build")]
    path, _, told = sent.target.partition("?")
    assert path == "/v1.41/build"
    read = functools.partial(urllib.parse.parse_qsl, keep_blank_values=True, errors="surrogateescape")
    assert read(told) == read(query)
    assert sent.body == b"context"
    assert sent.header("X-Registry-Config") == "e30="


def test_cancel_goes_to_the_node_of_the_build(fakes):
    for engine in fakes.engines:
        engine.on("POST", "^/build$", lambda c, _: c.sendall(answer(200, b"{}")) or True)
        engine.on("POST", "^/build/cancel$", lambda c, _: c.sendall(answer(200)) or True)
    target = fakes.engines[1]
    assert fakes.request("POST", f"/build?buildid=mine&node={target.name}", b"").status == 200
    assert fakes.request("POST", "/build/cancel?id=mine").status == 200
    assert who_has_seen(fakes, "/cancel") == [target.name]
    assert fakes.request("POST", "/build/cancel?id=other").status == 200
    assert sorted(who_has_seen(fakes, "id=other")) == [e.name for e in fakes.engines]


def test_create_right_behind_a_build_sees_its_image(fakes):
    """The images of the builder's node are read between the end of a stream and the create, however
    close they are; whether the stream is still open, or the refresh is under way."""
    c = upgrade(fakes, "/grpc")
    (home,) = [e for e in fakes.engines if e.seen("POST", "/grpc$")]
    # A client that builds nothing asks nobody.
    lists = len(home.seen("GET", "/images/json"))
    reply = http.request(
        fakes.unix_address, "POST", "/containers/create", {"Image": "busybox"}
    )
    assert reply.status == 201, reply
    assert len(home.seen("GET", "/images/json")) == lists
    image = {**home.images[0], "Id": "sha256:" + "5" * 64, "RepoTags": ["built:latest"]}
    home.images = home.images + [image]
    create = {"Image": "built", "Env": ["affinity:image==built"]}
    # Still open.
    reply = fakes.request("POST", "/containers/create?name=one", create)
    assert reply.status == 201, reply
    assert home.seen("POST", "name=one")
    # Closed the moment before.
    home.images = home.images[:-1] + [{**image, "RepoTags": ["again:latest"]}]
    create = {"Image": "again", "Env": ["affinity:image==again"]}
    with http.Connection(fakes.address) as other:
        c.stream.sock.shutdown(socket.SHUT_RDWR)
        reply = other.request("POST", "/containers/create?name=two", create)
        assert reply.status == 201, reply
    assert home.seen("POST", "name=two")
    c.close()


def test_builder_version(fake, manager):
    """BuildKit is offered when every healthy engine prefers it."""
    new, old = fake("new"), fake("old")
    prefers(new, 2)
    prefers(old, 1)
    m = manager([new])
    for method in ("GET", "HEAD"):
        wait_until(
            lambda: m.request(method, "/_ping").header("Builder-Version") == "2", "version 2"
        )
    m = manager([new, old])
    assert m.request("GET", "/_ping").header("Builder-Version") == "1"
    # What it says changes with its pings.
    prefers(old, 2)
    wait_until(
        lambda: m.request("GET", "/_ping").header("Builder-Version") == "2", "version 2", 40
    )


def test_aborted_streams_leave_nothing(fakes):
    idle = fakes.descriptors()
    for i in range(100):
        c = upgrade(fakes, "/grpc") if i % 2 else session(fakes, f"uuid-{i}")
        c.send(b"x" * 10000)
        if i % 3:
            c.stream.reset()
        else:
            c.close()
    # A session that is given up while it waits for its build.
    for i in range(20):
        c = http.Connection(fakes.address)
        c.send_request(
            "POST", "/session", headers={**H2C, "X-Docker-Expose-Session-Uuid": f"gone-{i}"}
        )
        c.stream.reset()
    wait_until(lambda: fakes.descriptors() <= idle + 8, "descriptors to be closed", 30)
