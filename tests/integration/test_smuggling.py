"""Request forms that two parsers might read differently: refused, and the connection closed."""

import pytest

from lab import http
from lab.fake_engine import container

TARGET = "c" * 64
INNER = f"DELETE /containers/{TARGET} HTTP/1.1\r\nHost: x\r\n\r\n"
START = f"POST /containers/{TARGET}/start HTTP/1.1\r\n"
HOST = START + "Host: x\r\n"


@pytest.fixture
def cluster(fake, manager):
    engine = fake()
    engine.containers = [container(TARGET, "target")]
    m = manager([engine])
    m.engine = engine
    return m


def nothing_came_through(m):
    assert m.engine.seen("DELETE", "") == []


# What stands in front of a second request, which must not be seen as one.
REFUSED = {
    "both lengths": HOST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    "0\r\n\r\n",
    "both lengths, other order": HOST
    + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": HOST + "Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "same length twice": HOST + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "list of lengths": HOST + "Content-Length: 0, 0\r\n\r\n",
    "signed length": HOST + "Content-Length: +0\r\n\r\n",
    "negative length": HOST + "Content-Length: -1\r\n\r\n",
    "hexadecimal length": HOST + "Content-Length: 0x0\r\n\r\n",
    "overflowing length": HOST + "Content-Length: 18446744073709551616\r\n\r\n",
    "empty length": HOST + "Content-Length: \r\n\r\n",
    "unknown coding": HOST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HOST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two headers": HOST
    + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "identity": HOST + "Transfer-Encoding: identity\r\n\r\n",
    "gzip before chunked": HOST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "tab in coding": HOST + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "blank before colon": HOST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "blank before length's colon": HOST + "Content-Length : 0\r\n\r\n",
    "folded header": HOST + "X-A: b\r\n Content-Length: 5\r\n\r\n",
    "folded first header": START + " Host: x\r\n\r\n",
    "bare line feeds": START.replace("\r", "") + "Host: x\nContent-Length: 0\n\n",
    "bare line feed in a header": HOST + "X-A: b\nContent-Length: 0\r\n\r\n",
    "bare carriage return": HOST + "X-A: b\rContent-Length: 0\r\n\r\n",
    "no host": START + "Content-Length: 0\r\n\r\n",
    "two hosts": HOST + "Host: y\r\nContent-Length: 0\r\n\r\n",
    "byte 0 in a value": HOST + "X-A: b\0c\r\nContent-Length: 0\r\n\r\n",
    "byte 0 in a name": HOST + "X\0A: b\r\nContent-Length: 0\r\n\r\n",
    "blank in a name": HOST + "X A: b\r\nContent-Length: 0\r\n\r\n",
    "high byte in a name": HOST + "X\xe9: b\r\nContent-Length: 0\r\n\r\n",
    "no colon": HOST + "nonsense\r\nContent-Length: 0\r\n\r\n",
    "empty name": HOST + ": b\r\nContent-Length: 0\r\n\r\n",
    "line end in the target": f"POST /containers/{TARGET}\r\n/start HTTP/1.1\r\nHost: x\r\n\r\n",
    "blank in the target": f"POST /containers/a b/start HTTP/1.1\r\nHost: x\r\n\r\n",
    "other protocol": START.replace("HTTP/1.1", "HTTP/9.9") + "Host: x\r\n\r\n",
    "no protocol": "GET /_ping\r\n\r\n",
    "bad method": START.replace("POST", "PO(ST") + "Host: x\r\nContent-Length: 0\r\n\r\n",
    "other absolute host": f"POST http://evil/containers/{TARGET}/start HTTP/1.1\r\nHost: x\r\n"
    "Content-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_and_closed(cluster, name):
    with cluster.connect() as c:
        c.send(REFUSED[name] + INNER)
        reply = c.read_reply()
        assert reply.status in (400, 505 if name == "other protocol" else 400), reply
        assert c.is_closed(), "the connection goes on"
    nothing_came_through(cluster)
    assert cluster.engine.seen("POST", "/start") == []


CHUNKED = HOST + "Transfer-Encoding: chunked\r\n\r\n"
BAD_CHUNKS = {
    "prefix": "0x5\r\nhello\r\n0\r\n\r\n",
    "sign": "+5\r\nhello\r\n0\r\n\r\n",
    "minus": "-5\r\nhello\r\n0\r\n\r\n",
    "overflow": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "junk": "5 junk\r\nhello\r\n0\r\n\r\n",
    "no number": "\r\nhello\r\n0\r\n\r\n",
    "no line end after data": "5\r\nhello0\r\n\r\n",
    "too long data": "5\r\nhello world\r\n0\r\n\r\n",
    "bare line feed": "5\nhello\n0\n\n",
    "line feed in an extension": "5;a\nb\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_bad_chunks(cluster, name):
    with cluster.connect() as c:
        c.send(CHUNKED + BAD_CHUNKS[name] + INNER)
        try:
            reply = c.read_reply()
            assert reply.status == 400, reply
            assert c.is_closed()
        except (http.Ended, ConnectionResetError):
            pass  # closed without an answer, which is as good
    nothing_came_through(cluster)


def test_trailers_are_not_headers(cluster):
    body = '{"Image":"busybox"}'
    with cluster.connect() as c:
        c.send(
            "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n"
            "X-Registry-Auth: c3RvbGVu\r\n\r\n"
        )
        assert c.read_reply().status < 600
    for request in cluster.engine.seen("POST", "/containers/create"):
        assert request.header("X-Registry-Auth") is None


def test_empty_body_that_is_announced(cluster):
    """Content-Length: 0 on a create: exactly that is judged, nothing that follows."""
    body = '{"Image":"busybox"}'
    with cluster.connect() as c:
        c.send("POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" + body)
        reply = c.read_reply()
        assert reply.status == 400, reply
    assert cluster.engine.seen("POST", "/containers/create") == []


def test_oversized_heads(cluster):
    for head in (
        "GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: " + "a" * 200000 + "\r\n\r\n",
        "GET /_ping?" + "a" * 200000 + " HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /_ping HTTP/1.1\r\nHost: x\r\n" + "X-Y: z\r\n" * 20000 + "\r\n",
    ):
        with cluster.connect() as c:
            try:
                c.send(head)
            except OSError:
                pass  # it need not read all of it
            try:
                reply = c.read_reply()
            except ConnectionResetError:
                continue
            assert reply.status in (431, 414), reply
            assert c.is_closed()
    with cluster.connect() as c:
        c.send("GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: " + "a" * 140000)
        reply = c.read_reply()
        assert reply.status == 431, reply
    assert cluster.request("GET", "/_ping").status == 200


def test_oversized_json(cluster):
    """413 whether the size is announced or comes in chunks; never cut and passed on."""
    with cluster.connect() as c:
        c.send(
            "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 1000000000\r\n\r\n"
        )
        reply = c.read_reply()
        assert reply.status == 413, reply
    with cluster.connect() as c:
        c.send(
            "POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        c.stream.settimeout(10)
        block = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        reply = None
        try:
            for _ in range(64):
                c.send(block)
        except OSError:
            pass
        try:
            reply = c.read_reply()
        except ConnectionResetError:
            pass
        assert reply is None or reply.status == 413, reply
    assert cluster.engine.seen("POST", "/containers/create") == []
    assert cluster.request("GET", "/_ping").status == 200


def test_deep_json(cluster):
    for text in ("[" * 100000, '{"a":' * 100000, '{"Labels":' + "[" * 5000 + "]" * 5000 + "}"):
        reply = cluster.request(
            "POST", "/containers/create", text.encode(), {"Content-Type": "application/json"}
        )
        assert reply.status == 400, reply


def test_upgrades_that_are_not_for_streams(cluster):
    """Each call that can be upgraded is so to one protocol, and an upgrade elsewhere is ignored."""
    attach = ("POST", "/containers/target/attach?stream=1")
    for upgrade in ("h2c", "websocket", "tcp, h2c", "h2c, tcp", "TLS/1.0"):
        for method, path, wanted, allowed in (
            ("GET", "/version", 200, None),
            ("GET", "/containers/target/json", 200, None),
            ("POST", "/build", 404, None),
            ("POST", "/session", 400, "h2c"),
            ("POST", "/grpc", 400, "h2c"),
            ("GET", "/containers/target/attach/ws", 400, "websocket"),
            (*attach, 400, "tcp"),
        ):
            if upgrade == allowed:
                continue
            with cluster.connect() as c:
                reply = c.request(
                    method,
                    path,
                    headers={
                        "Connection": "Upgrade, HTTP2-Settings",
                        "Upgrade": upgrade,
                        "HTTP2-Settings": "AAMAAABkAAQAAP__",
                    },
                )
                assert reply.status == wanted, reply
    for request in cluster.engine.requests:
        assert request.header("HTTP2-Settings") is None
        assert request.header("Upgrade") in (None, "tcp")


# Each is refused, by the manager or the engine, and what follows may be a stream's first bytes.
UPGRADES = {
    "attach": "POST /containers/nosuch/attach?stream=1 HTTP/1.1\r\n",
    "WebSocket": "GET /containers/nosuch/attach/ws HTTP/1.1\r\n",
    "exec": "POST /exec/nosuch/start HTTP/1.1\r\n",
    "no such page": "GET /nowhere HTTP/1.1\r\n",
    "plain call": f"GET /containers/{TARGET}/json HTTP/1.1\r\n",
}


@pytest.mark.parametrize("asks", ["Connection: Upgrade\r\nUpgrade: tcp\r\n", "Upgrade: tcp\r\n", ""])
@pytest.mark.parametrize("name", UPGRADES)
def test_what_follows_a_refused_upgrade_is_no_request(cluster, name, asks):
    if not asks and name in ("no such page", "plain call"):
        return
    with cluster.connect() as c:
        c.send(UPGRADES[name] + "Host: x\r\n" + asks + "\r\n" + INNER)
        c.read_reply()
        assert c.is_closed(), "the connection goes on"
    nothing_came_through(cluster)


def test_nothing_is_copied_blindly(cluster):
    """Hop-by-hop headers, and what a client says of itself, end at the manager."""
    cluster.request(
        "POST",
        "/containers/target/start",
        headers={
            "Connection": "close, X-Secret",
            "X-Secret": "1",
            "Keep-Alive": "x",
            "Proxy-Authorization": "Basic eDp5",
            "TE": "trailers",
            "Host": "x",
            "Authorization": "Basic eDp5",
            "cookie": "a=b",
            "Transfer_Encoding": "chunked",
            "X-Registry-Auth": "e30=",
        },
    )
    sent = cluster.engine.seen("POST", "/start")
    assert len(sent) == 1
    for name in (
        "X-Secret",
        "Keep-Alive",
        "Proxy-Authorization",
        "TE",
        "Authorization",
        "Cookie",
        "Transfer_Encoding",
    ):
        assert sent[0].header(name) is None, name
    assert sent[0].header("X-Registry-Auth") == "e30="
    assert sent[0].header("Host") != "x"


@pytest.mark.parametrize(
    "name",
    ["..", "%2e%2e", "a%2f..%2fb", "target%2f..", "a%0d%0aX:y", "a%00b", "%zz", "x" * 5000,
     "target;x", "target%3fforce=1", "target%23"],
)
def test_names_in_paths(cluster, name):
    """What reaches an engine is always a container's ID."""
    reply = cluster.request("POST", f"/containers/{name}/kill")
    assert reply.status in (400, 404, 414, 431), reply
    assert cluster.engine.seen("POST", "") == []


def test_query_values_are_encoded_anew(cluster):
    cluster.request("POST", "/containers/target/kill?signal=a%0d%0aX-Evil:%201%20HTTP/1.1")
    for request in cluster.engine.seen("POST", "/kill"):
        assert request.header("X-Evil") is None
        assert f"/containers/{TARGET}/kill" in request.target


FOREIGN = (
    "Set-Cookie",
    "Location",
    "Access-Control-Allow-Origin",
    "Refresh",
    "X-Secret",
    "Strict-Transport-Security",
)
STAT = "X-Docker-Container-Path-Stat"


@pytest.mark.parametrize(
    "method,target",
    [
        ("POST", "/containers/target/kill"),
        ("GET", "/containers/target/logs"),
        ("POST", "/containers/target/attach"),
        ("POST", "/containers/create"),
    ],
)
def test_headers_of_engines_are_a_fixed_list(cluster, method, target):
    """Whether the reply is collected, streamed, in place of a stream, or kept."""

    def answer(c, request):
        lines = "".join(f"{name}: x\r\n" for name in FOREIGN)
        c.sendall(
            f"HTTP/1.1 409 Conflict\r\n{lines}{STAT}: e30=\r\n"
            "Content-Type: application/json\r\nContent-Length: 15\r\n\r\n"
            '{"message":"m"}'.encode()
        )
        return True

    cluster.engine.on(method, target.replace("target", TARGET), answer)
    body = {"Image": "busybox"} if target.endswith("create") else None
    reply = cluster.request(method, target, body)
    assert reply.status == 409, reply
    for name in FOREIGN:
        assert reply.header(name) is None, name
    assert reply.header(STAT) == "e30="
    assert reply.header("Content-Type") == "application/json"


JSON = {"Content-Type": "application/json"}


FORMS = [
    "application/x-www-form-urlencoded",
    "Application/X-WWW-form-urlencoded ; a=b",
    "multipart/form-data; boundary=x",
    "Multipart/Mixed",
]


def test_no_form_is_read(cluster):
    """Go would put what it holds in front of the query, or behind it."""
    for target in (
        "/containers/target/rename?name=good",
        "/containers/target/kill",
        "/containers/create",
        "/networks/prune",
        "/build",
        "/images/load",
    ):
        for kind in FORMS:
            headers = {"Content-Type": kind}
            reply = cluster.request("POST", target, body=b"name=evil", headers=headers)
            assert reply.status == 415, f"{target} {kind}: {reply}"
    assert cluster.engine.seen("POST", "") == []


def test_an_empty_form_is_no_form(cluster):
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    cluster.request("POST", "/containers/target/kill", headers=kind)
    (sent,) = cluster.engine.seen("POST", "/kill")
    assert sent.header("Content-Type") is None


def test_a_query_that_has_two_readings(cluster):
    for query in (
        "name=good&name=evil",
        "name=good&name=good",
        "name=go%6fd&%6eame=evil",
        "a=1;name=evil",
        "name=%zz",
        "name=%00",
        "t;name=x",
    ):
        reply = cluster.request("POST", "/containers/target/rename?" + query)
        assert reply.status == 400, f"{query}: {reply}"
    assert cluster.engine.seen("POST", "") == []


def test_the_query_is_written_anew(cluster):
    cluster.request("POST", "/containers/target/kill?signal=a%3Bb=%26c&&x")
    (sent,) = cluster.engine.seen("POST", "/kill")
    assert sent.target.endswith("/kill?signal=a%3Bb%3D%26c&x="), sent.target


FIELDS = {
    "/containers/create": "Image",
    "/containers/target/exec": "Privileged",
    "/containers/target/update": "Memory",
    "/commit?container=target": "User",
    "/networks/bridge/connect": "Container",
    "/networks/bridge/disconnect": "Container",
    "/networks/create": "Name",
    "/volumes/create": "Name",
    "/auth": "serveraddress",
    f"/exec/{TARGET}/start": "Tty",
}


TWO_READINGS = [
    '{"NAME":null,"name":null}',
    '{"NAME":null,"NAME":null}',
    '{"NAME":null}{}',
    '{"NAME":null} x',
    '{"a\u017f":1}',
    '{"\u212a":1}',
    '{"a":"\\ud800"}',
    '{"a":"\\u0000"}',
    "[]",
    '"x"',
    "{",
]


@pytest.mark.parametrize("target", FIELDS)
def test_a_body_that_has_two_readings(cluster, target):
    name = FIELDS[target]
    for form in TWO_READINGS:
        body = form.replace("NAME", name).replace("name", name.swapcase())
        reply = cluster.request("POST", target, body=body.encode(), headers=JSON)
        assert reply.status == 400, f"{body}: {reply}"
    for headers, status in (
        ({"Content-Type": "text/plain"}, 400),
        (dict(JSON, **{"Content-Encoding": "gzip"}), 415),
    ):
        reply = cluster.request("POST", target, body=b"{}", headers=headers)
        assert reply.status == status, f"{headers}: {reply}"
    assert cluster.engine.seen("POST", "") == []


def test_a_charset_changes_nothing(cluster):
    kind = {"Content-Type": "application/json; charset=utf-8"}
    body = b'{"Memory":1,"memory":2}'
    reply = cluster.request("POST", "/containers/target/update", body=body, headers=kind)
    assert reply.status == 400, reply
    cluster.request("POST", "/containers/target/update", body=b'{"Memory":1}', headers=kind)
    (sent,) = cluster.engine.seen("POST", "/update")
    assert sent.body == b'{"Memory":1}'


def test_slow_heads_do_not_hold_the_manager(cluster):
    """Hundreds of half requests: others are answered at once."""
    held = [cluster.connect() for _ in range(300)]
    for c in held:
        c.send("GET /_ping HTTP/1.1\r\nHos")
    try:
        for _ in range(20):
            assert cluster.request("GET", "/_ping", timeout=2).status == 200
    finally:
        for c in held:
            c.close()


def test_two_requests_on_one_connection_do_not_cross(cluster):
    with cluster.connect() as c:
        for i in range(200):
            reply = c.request("GET", f"/containers/missing-{i}/json")
            assert reply.status == 404
            assert f"missing-{i}" in reply.message()
