"""Images that go to several nodes at once, or out of one: pull, import, load and save."""

import contextlib
import functools
import hashlib
import http.server
import io
import json
import os
import subprocess
import tarfile
import threading

import pytest

from lab.engine import IMAGE
from lab.fake_engine import answer
from lab.http import Connection
from lab.waiting import in_parallel, wait_until

MIB = 1 << 20
DONE = b'{"stream":"Loaded image: some:1\\n"}\r\n'


@functools.lru_cache(None)
def noise(size):
    return os.urandom(MIB) * (size // MIB)


# ---- engines in Python that take a body in different ways ----


class Taker:
    """A behaviour for on_head: takes the body as it comes, and then answers. Holds after `most`
    bytes until `go` is set."""

    def __init__(self, most=None, reply=DONE):
        self.most, self.reply = most, reply
        self.go = threading.Event()
        if most is None:
            self.go.set()
        self.begun, self.ended = threading.Event(), threading.Event()
        self.size, self.digest, self.complete = 0, hashlib.sha256(), False

    def __call__(self, c, request):
        self.size, self.digest, self.complete = 0, hashlib.sha256(), False
        self.begun.set()
        try:
            self._take(c, request)
        except OSError:
            pass
        self.ended.set()

    def _take(self, c, request):
        length = int(request.header("Content-Length"))
        data = request.body
        while True:
            self.digest.update(data)
            self.size += len(data)
            if self.size == length:
                break
            if self.most is not None and self.size >= self.most:
                self.hold()
            data = c.recv(MIB)
            if not data:
                return
        self.complete = True
        last_answer(c, 200, self.reply)

    def hold(self):
        self.go.wait(60)

    def has_all(self, body):
        return self.complete and self.digest.digest() == hashlib.sha256(body).digest()


class Trickle(Taker):
    """Takes one byte a second."""

    def _take(self, c, request):
        while c.recv(1):
            self.size += 1
            if self.go.wait(1):
                return


def last_answer(c, status, body, reason="OK"):
    head, _, body = answer(status, body, reason=reason).partition(b"\r\n\r\n")
    c.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)


def refuses(status, text):
    def behaviour(c, request):
        last_answer(c, status, {"message": text}, "No")

    return behaviour


def breaks_off(c, request):
    c.recv(100000)


@pytest.fixture
def spool(tmp_path, monkeypatch):
    """Where the manager is to keep what slow nodes have still to get."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def fakes(fake, manager, spool):
    """A manager over three of them: it.one, it.two, it.three."""

    def make(*behaviours, path="/images/load$"):
        engines = [fake(name) for name in ("one", "two", "three")[: len(behaviours)]]
        for engine, behaviour in zip(engines, behaviours):
            engine.on_head("POST", path, behaviour)
        m = manager(engines)
        m.engines = engines
        return m

    return make


class Upload:
    """A POST whose body is sent by a thread, while the reply is read."""

    def __init__(self, m, body, target="/images/load?quiet=1"):
        self.c = m.connect(60)
        self.c.send(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n")
        self.sent = threading.Event()
        self.thread = threading.Thread(target=self._send, args=(memoryview(body),), daemon=True)
        self.thread.start()
        self.head, self.text = None, b""

    def _send(self, body):
        try:
            for at in range(0, len(body), MIB):
                self.c.stream.sock.sendall(body[at : at + MIB])
            self.sent.set()
        except OSError:
            pass

    def next_object(self):
        """The next object of the reply, None at its end."""
        if self.head is None:
            self.head = self.c.read_head()
            assert self.head.status == 200, self.head
        while b"\n" not in self.text:
            more = self.c.read_chunk()
            if not more:
                return None
            self.text += more
        line, _, self.text = self.text.partition(b"\n")
        return json.loads(line)

    def rest(self):
        objects = []
        while True:
            objects.append(self.next_object())
            if objects[-1] is None:
                return objects[:-1]

    def close(self):
        self.c.close()
        self.thread.join(20)


def spooled(m):
    """Bytes of files without a name that the manager holds open."""
    total = 0
    for fd in os.listdir(f"/proc/{m.pid}/fd"):
        path = f"/proc/{m.pid}/fd/{fd}"
        with contextlib.suppress(OSError):
            if os.readlink(path).endswith(" (deleted)"):
                total += os.stat(path).st_size
    return total


def nothing_left(m, spool, descriptors):
    wait_until(lambda: m.descriptors() <= descriptors + 3, "the descriptors to be closed")
    wait_until(lambda: spooled(m) == 0, "the file to be closed")
    assert os.listdir(spool) == []


def loaded(*names):
    return [{"status": "loaded some:1", "id": name} for name in names]


# Once for all nodes.
RESULT = {"stream": "Loaded image: some:1\n"}


def test_a_slow_node_holds_no_other_back(fakes, spool):
    """Two are done while the third has hardly begun; it gets the same bytes, from a file."""
    body = noise(64 * MIB)
    slow = Taker(most=1)
    takers = [Taker(), Taker(), slow]
    m = fakes(*takers)
    descriptors, rss = m.descriptors(), m.rss()
    up = Upload(m, body)
    first = [up.next_object(), up.next_object()]
    assert sorted(first, key=lambda o: o["id"]) == loaded("one", "two")
    assert takers[0].has_all(body) and takers[1].has_all(body)
    assert not slow.complete and slow.size < 8 * MIB
    assert up.sent.wait(20), "the client is held back"
    assert spooled(m) > 16 * MIB
    assert os.listdir(spool) == [], "the file has a name"
    assert m.rss() - rss < 64 * MIB
    slow.go.set()
    assert up.rest() == [*loaded("three"), RESULT]
    assert slow.has_all(body)
    up.close()
    nothing_left(m, spool, descriptors)


def test_equal_nodes_need_no_file(fakes, spool):
    body = noise(32 * MIB)
    takers = [Taker(), Taker(), Taker()]
    m = fakes(*takers)
    up = Upload(m, body)
    *steps, result = up.rest()
    assert sorted(steps, key=lambda o: o["id"]) == loaded("one", "three", "two")
    assert result == RESULT
    assert all(t.has_all(body) for t in takers)
    up.close()


@pytest.mark.parametrize("bad", ["refuses", "breaks off", "answers nonsense"])
def test_a_failing_node_cuts_nobody_short(fakes, spool, bad):
    def nonsense(c, request):
        last_answer(c, 200, b"}}} this is not JSON")

    behaviour = {
        "refuses": refuses(500, "no room here"),
        "breaks off": breaks_off,
        "answers nonsense": nonsense,
    }[bad]
    body = noise(16 * MIB)
    one, three = Taker(), Taker()
    m = fakes(one, behaviour, three)
    descriptors = m.descriptors()
    up = Upload(m, body)
    objects = up.rest()
    assert one.has_all(body) and three.has_all(body)
    for line in loaded("one", "three"):
        assert line in objects
    assert objects[-1]["error"].startswith("two: "), objects
    assert objects[-1]["errorDetail"]["message"] == objects[-1]["error"]
    assert not any("error" in o for o in objects[:-1])
    assert [o for o in objects if o.get("id") == "two" and "status" in o]
    if bad == "refuses":
        assert "no room here" in objects[-1]["error"]
    up.close()
    nothing_left(m, spool, descriptors)


def test_one_byte_a_second_and_a_client_that_leaves(fakes, spool):
    body = noise(48 * MIB)
    one, slow = Taker(), Trickle()
    slow.go.clear()
    m = fakes(one, slow)
    descriptors = m.descriptors()
    up = Upload(m, body)
    assert up.next_object() == loaded("one")[0]
    assert one.has_all(body)
    wait_until(lambda: slow.size > 0, "the slow one to take something")
    assert spooled(m) > 0
    up.close()
    nothing_left(m, spool, descriptors)
    slow.go.set()


def test_a_client_that_leaves_in_the_middle(fakes, spool):
    """No node takes the part for the whole, and nothing is left behind; 30 times."""
    takers = [Taker(), Taker(), Taker(most=1)]
    m = fakes(*takers)
    body = noise(32 * MIB)

    def leave(size):
        with m.connect() as c:
            c.send("POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
            c.stream.sock.sendall(memoryview(body)[:size])

    leave(20 * MIB)
    wait_until(lambda: takers[0].ended.is_set() and takers[1].ended.is_set(), "an end")
    assert not any(t.complete for t in takers)
    wait_until(lambda: spooled(m) == 0, "the file to be closed")
    before = m.descriptors()
    for turn in range(30):
        leave(turn * 100000)
    takers[2].go.set()
    nothing_left(m, spool, before)
    assert not any(t.complete for t in takers)


def test_what_all_refuse_is_refused(fakes):
    m = fakes(*[refuses(418, "not a tea pot")] * 3)
    reply = m.request("POST", "/images/load", b"x" * 1000)
    assert (reply.status, reply.message()) == (418, "not a tea pot")
    m.engines[1].on_head("POST", "/images/load$", refuses(400, "is a tea pot"))
    reply = m.request("POST", "/images/load", b"x" * 1000)
    assert reply.status == 500
    for part in ("one: not a tea pot", "two: is a tea pot", "three: not a tea pot"):
        assert part in reply.message()


def test_without_a_disk_only_the_slow_node_fails(fakes, spool):
    """The folder is not there: an error that says so, when the file was needed."""
    os.rmdir(spool)
    body = noise(64 * MIB)
    one, slow = Taker(), Taker(most=1)
    m = fakes(one, slow)
    up = Upload(m, body)
    objects = up.rest()
    assert one.has_all(body) and not slow.complete
    assert objects[0] in loaded("one") or objects[1] in loaded("one"), objects
    assert objects[-1]["error"].startswith("two: "), objects
    assert str(spool) in objects[-1]["error"]
    assert m.request("GET", "/_ping").status == 200
    slow.go.set()
    up.close()


@pytest.fixture
def small_disk(spool):
    """8 MiB for the manager's temporary files."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", spool], check=True)
    yield spool
    subprocess.run(["umount", "-l", spool], check=True)


def test_a_full_disk(fakes, small_disk):
    body = noise(64 * MIB)
    one, slow = Taker(), Taker(most=1)
    m = fakes(one, slow)
    up = Upload(m, body)
    objects = up.rest()
    assert one.has_all(body) and not slow.complete
    assert objects[-1]["error"].startswith("two: "), objects
    assert "No space left on device" in objects[-1]["error"]
    assert m.request("GET", "/_ping").status == 200
    slow.go.set()
    up.close()
    wait_until(lambda: spooled(m) == 0, "the file to be closed")


def test_one_engine_is_passed_through(fakes):
    """Head and body are the engine's own, and the body it gets is the client's."""
    body = noise(4 * MIB)
    lines = b'{"status":"odd",   "id":"layer"}\r\n{"stream":"Loaded image: some:1\\n"}\r\n'

    taker = Taker(reply=lines)
    m = fakes(Taker(), taker)
    for headers, query in (({}, "&node=two"), ({"X-Swarm-Node": "two"}, "")):
        taker.complete = False
        reply = m.request("POST", f"/images/load?quiet=0{query}", body, headers)
        assert reply.status == 200 and reply.body == lines
        assert taker.has_all(body)
    assert m.engines[0].seen("POST", "/images/load") == []
    asked = m.engines[1].seen("POST", "/images/load")
    assert all("quiet=0" in r.target for r in asked)
    reply = m.request("POST", "/images/load?node=nobody", body)
    assert reply.status == 404 and "nobody" in reply.message()


def test_credentials_go_along(fakes):
    got = []

    def pull(c, request):
        got.append((request.header("X-Registry-Auth"), request.target))
        last_answer(c, 200, b'{"status":"fine"}\r\n')

    m = fakes(pull, pull, path="/images/create$")
    secret = "eyJ1c2VybmFtZSI6InUifQ=="
    target = "/images/create?fromImage=priv%2Fate&tag=1&platform=linux%2Famd64"
    reply = m.request("POST", target, headers={"X-Registry-Auth": secret})
    assert reply.status == 200
    assert [auth for auth, _ in got] == [secret, secret]
    assert all(t.endswith(target) for _, t in got)
    assert secret not in m.log()


# ---- real engines ----


@pytest.fixture
def cluster(manager, three, spool):
    return manager(three)


def tags(engine):
    return [t for i in engine.json("GET", "/images/json") for t in i["RepoTags"] or []]


def tag(engine, name, version="1"):
    done = engine.request("POST", f"/images/{IMAGE}/tag?repo={name}&tag={version}")
    assert done.status == 201, done


def forget(engine, name):
    assert engine.request("DELETE", f"/images/{name}").status == 200


def push(engine, registry, name):
    tag(engine, f"{registry.addr}/{name}")
    target = f"/images/{registry.addr}/{name}/push?tag=1"
    done = engine.request("POST", target, headers={"X-Registry-Auth": "e30="})
    assert done.status == 200 and b"errorDetail" not in done.body, done
    forget(engine, f"{registry.addr}/{name}:1")
    return f"{registry.addr}/{name}:1"


def objects_of(reply):
    assert reply.status == 200, reply
    return [json.loads(line) for line in reply.body.splitlines() if line]


def test_pull_on_all_and_on_some(cluster, three, registry):
    reference = push(three[0], registry, "transfer")
    name, version = reference.rsplit(":", 1)
    target = f"/images/create?fromImage={name}&tag={version}"
    for query, wanted in (("&node=node-2&node=node-3", three[1:]), ("", three)):
        objects = objects_of(cluster.request("POST", target + query, timeout=60))
        for engine in wanted:
            line = {"status": f"Pulling {reference}... : downloaded", "id": engine.name}
            assert line in objects
        assert {o["id"] for o in objects} == {e.name for e in wanted}
        for engine in three:
            assert (reference in tags(engine)) == (engine in wanted)
        # What was reported is known.
        listed = [t for i in cluster.json("GET", "/images/json") for t in i["RepoTags"]]
        assert reference in listed
        in_parallel(lambda e: forget(e, reference), wanted)
    # One node: as if it were alone.
    objects = objects_of(cluster.request("POST", target + "&node=node-1", timeout=60))
    assert any(o["status"].startswith("Status: ") for o in objects)
    assert all(not o["status"].startswith("Pulling busybox") for o in objects)
    assert {o.get("id") for o in objects}.isdisjoint({e.name for e in three})
    missing = f"/images/create?fromImage={registry.addr}/missing&tag=1"
    for query in ("", "&node=node-2"):
        reply = cluster.request("POST", missing + query, timeout=60)
        assert reply.status == 404, reply
        assert "missing" in reply.message()
    reply = cluster.request("POST", "/images/create?fromImage=UPPER%20CASE", timeout=60)
    assert reply.status == 400, reply
    assert "invalid reference" in reply.message()


def test_save_and_load(cluster, three, one_docker, tmp_path):
    """By the client: out of one node, and onto all."""
    cli = one_docker(cluster)
    tag(three[1], "first")
    tag(three[1], "second")
    tag(three[0], "first")
    wait_until(
        lambda: len({t for i in cluster.json("GET", "/images/json") for t in i["RepoTags"]}) == 3,
        "the inventory to show the tags",
    )
    archive = str(tmp_path / "both.tar")
    cli.run("save", "-o", archive, "first:1", "second:1")
    with tarfile.open(archive) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    assert sorted(t for i in manifest for t in i["RepoTags"]) == ["first:1", "second:1"]
    one = cluster.request("GET", "/images/second:1/get")
    assert one.status == 200 and one.header("Content-Type") == "application/x-tar"
    with tarfile.open(fileobj=io.BytesIO(one.body)) as tar:
        assert json.load(tar.extractfile("manifest.json"))[0]["RepoTags"] == ["second:1"]
    for engine, name in ((three[1], "first:1"), (three[1], "second:1"), (three[0], "first:1")):
        forget(engine, name)
    out = cli.run("load", "-i", archive)
    for engine in three:
        for name in ("first:1", "second:1"):
            assert f"{engine.name}: loaded {name}" in out.split("\n"), out
            assert name in tags(engine)
    for name in ("first:1", "second:1"):
        assert out.split("\n").count(f"Loaded image: {name}") == 1, out
    listed = {t for i in cluster.json("GET", "/images/json") for t in i["RepoTags"]}
    assert {"first:1", "second:1"} <= listed
    with open(archive, "rb") as f:
        out = cli.run("load", "-q", input=f.read())
    assert out.count("Loaded image: ") == 2, out
    with open(archive, "rb") as f:
        reply = cluster.request("POST", "/images/load?node=node-3", f.read())
    assert [o["stream"] for o in objects_of(reply) if "stream" in o and "id" not in o]


def test_save_that_nobody_can(cluster, three):
    tag(three[0], "left")
    tag(three[1], "right")
    wait_until(
        lambda: len({t for i in cluster.json("GET", "/images/json") for t in i["RepoTags"]}) == 3,
        "the inventory to show the tags",
    )
    reply = cluster.request("GET", "/images/get?names=left:1&names=right:1")
    assert (reply.status, reply.message()) == (
        404,
        "Unable to find a healthy engine containing all images: [left:1 right:1]",
    )
    for target in ("/images/get?names=none:1", "/images/none:1/get"):
        reply = cluster.request("GET", target)
        assert (reply.status, reply.message()) == (404, "No such image: none:1")
    reply = cluster.request("GET", "/images/right:1/get?node=node-1")
    assert reply.status == 404
    assert cluster.request("GET", "/images/get").status == 400


def root_archive():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    return out.getvalue()


def test_import(cluster, three, one_docker, machine):
    """From the client, and from where the engines fetch it themselves."""
    cli = one_docker(cluster)
    out = cli.run("import", "-", "imported:1", input=root_archive())
    lines = out.split("\n")
    for engine in three:
        found = [i for i in engine.json("GET", "/images/json") if "imported:1" in i["RepoTags"]]
        assert f"{engine.name}: {found[0]['Id']}" in lines, out
    with Served(machine.bridge_ip, root_archive()) as url:
        cli.run("import", url, "fetched:1")
    for engine in three:
        assert "fetched:1" in tags(engine)
    assert cli.run("images", "-q", "fetched:1")
    with Connection(cluster.address) as c:
        body = root_archive()
        c.send_request("POST", "/images/create?fromSrc=-&repo=alone&tag=1&node=node-2", body)
        reply = c.read_reply()
    assert reply.status == 200 and "id" not in objects_of(reply)[-1]
    assert [("alone:1" in tags(e)) for e in three] == [False, True, False]


class Served:
    """An HTTP server with one file."""

    def __init__(self, ip, data):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer((ip, 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return "http://%s:%d/root.tar" % self.server.server_address[:2]

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_an_engine_is_cut_off(cluster, three, archive):
    """The others load what they are given, and the end says which one did not."""
    in_parallel(lambda e: tag(e, "kept"), three[1:])
    tag(three[2], "only")
    listed = lambda: {t for i in cluster.json("GET", "/images/json") for t in i["RepoTags"]}
    wait_until(lambda: {"kept:1", "only:1"} <= listed(), "the inventory to show the tags")
    three[2].cut()
    up = Upload(cluster, archive)
    objects = up.rest()
    up.close()
    done = {o["id"] for o in objects if o.get("status", "").startswith("loaded ")}
    assert done == {"node-1", "node-2"}
    assert sum(o.get("stream", "").startswith("Loaded image: ") for o in objects) == 1
    assert objects[-1]["error"].startswith("node-3: "), objects
    wait_until(lambda: cluster.status_of(three[2].addr) != "Healthy", "the node to be down", 60)
    # What is left can be saved, and what is not names the node.
    assert cluster.request("GET", "/images/kept:1/get").status == 200
    reply = cluster.request("GET", "/images/only:1/get")
    assert reply.status == 503 and "node-3" in reply.message()
    # It is told of, and not waited for.
    objects = objects_of(cluster.request("POST", "/images/load", archive))
    skipped = [o["status"] for o in objects if o.get("id") == "node-3"]
    assert len(skipped) == 1 and skipped[0].startswith("skipped, the node is ")
    assert "error" not in objects[-1]
    three[2].heal()


# ---- streams that are given up ----


def test_aborted_streams_leave_nothing(fakes, spool):
    """200 uploads and downloads, cut in the middle: descriptors and memory stay as they were."""

    def flood(c, request):
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                c.sendall(noise(MIB))

    m = fakes(Taker(), Taker())
    for engine in m.engines:
        engine.on("GET", "/images/get$", flood)
    body = memoryview(noise(MIB))

    def abort(turn):
        with m.connect() as c:
            if turn % 2:
                c.send_request("GET", "/images/get?names=busybox")
                assert c.read_head().status == 200
                c.read_exactly(100000)
            else:
                c.send("POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n")
                with contextlib.suppress(OSError):
                    c.stream.sock.sendall(body)

    in_parallel(abort, range(40), 4)
    wait_until(lambda: all(e.open_connections() <= 8 for e in m.engines), "an end")
    descriptors, rss = m.descriptors(), m.rss()
    in_parallel(abort, range(200), 4)
    nothing_left(m, spool, descriptors)
    assert m.rss() - rss < 32 * MIB
