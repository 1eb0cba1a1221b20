"""Engines that fail, lie, hang and vanish: that node, that request, nothing more."""

import json
import threading
import time

import pytest

from lab import http
from lab.engine import IMAGE
from lab.fake_engine import answer, container
from lab.waiting import holds_for, in_parallel, wait_until

MIB = 1 << 20


def healthy(m, engines):
    nodes = m.nodes()
    return all(nodes[e.addr]["Status"] == "Healthy" for e in engines)


# ---- hostile answers to one request ----


def garbage(c, request):
    c.sendall(b"\x00\xff\x16\x03 this is not HTTP\r\n\r\n" * 100)
    return False


def nothing(c, request):
    return False


def bad_status(c, request):
    c.sendall(b"HTTP/1.1 abc Huh\r\nContent-Length: 2\r\n\r\n{}")
    return False


def negative_length(c, request):
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}")
    return False


def two_lengths(c, request):
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 50\r\n\r\n{}" + b"x" * 48)
    return False


def cut_short(c, request):
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{")
    return False


def bad_chunks(c, request):
    c.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n")
    return False


def not_json(c, request):
    c.sendall(answer(200, b"<html>", "application/json"))
    return True


def wrong_json(c, request):
    c.sendall(answer(200, b'["a", {"b": null}, 3]'))
    return True


def endless_headers(c, request):
    c.sendall(b"HTTP/1.1 200 OK\r\n")
    try:
        for i in range(200000):
            c.sendall(b"X-%d: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" % i)
    except OSError:
        pass
    return False


def endless_header(c, request):
    c.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    try:
        for _ in range(100):
            c.sendall(b"a" * MIB)
    except OSError:
        pass
    return False


def endless_interim(c, request):
    try:
        for _ in range(200000):
            c.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    except OSError:
        pass
    return False


def unasked_upgrade(c, request):
    c.sendall(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nsecret")
    time.sleep(0.2)
    return False


HOSTILE = [
    garbage,
    nothing,
    bad_status,
    negative_length,
    two_lengths,
    cut_short,
    bad_chunks,
    not_json,
    wrong_json,
    endless_headers,
    endless_header,
    endless_interim,
    unasked_upgrade,
]


@pytest.fixture
def pair(fake, manager):
    """A manager over a good and a bad engine in Python."""
    good, bad = fake("good"), fake("bad")
    good.containers = [container("a" * 64, "fine")]
    bad.containers = [container("b" * 64, "target")]
    m = manager([good, bad])
    m.good, m.bad = good, bad
    return m


@pytest.mark.parametrize("behaviour", HOSTILE, ids=lambda f: f.__name__)
def test_hostile_answer_to_a_request(pair, behaviour):
    """The request ends in 502 (or as cut off, where a part was passed on already)."""
    pair.bad.on("GET", "b{64}/(json|top|logs)$", behaviour)
    before = pair.rss()
    try:
        for path in ("json", "top", "logs?stdout=1"):
            with pair.connect() as c:
                try:
                    reply = c.request("GET", f"/containers/target/{path}")
                except http.Ended:
                    continue
                if behaviour in (not_json, wrong_json):
                    assert reply.status == 200, "a whole answer is passed on as it is"
                    continue
                assert reply.status in (500, 502), (path, reply)
                reply.message()
        assert pair.request("GET", "/containers/fine/json").status == 200
        assert pair.rss() - before < 96 * MIB
        assert pair.status_of(pair.good.addr) == "Healthy"
    finally:
        pair.bad.behave()


def test_silence_to_a_request(pair):
    """The node goes down, its request ends in 504, and others do not wait for it."""
    gate = threading.Event()

    def silent(c, request):
        gate.wait(60)
        return False

    pair.bad.on_all(silent)
    try:
        with pair.connect(timeout=45) as c:
            c.send_request("GET", "/containers/target/top")
            for _ in range(10):
                assert pair.request("GET", "/containers/fine/json", timeout=3).status == 200
            reply = c.read_reply()
            assert reply.status == 504, reply
            reply.message()
        assert pair.status_of(pair.bad.addr) in ("Unhealthy", "Disconnected")
        assert pair.status_of(pair.good.addr) == "Healthy"
    finally:
        gate.set()


# ---- hostile all the time ----


def test_hostile_engines_become_unhealthy(fake, manager):
    """Every kind at once, beside a good one: all of them are down with a reason, it is not."""
    good = fake("good")
    good.containers = [container("a" * 64, "fine")]
    kinds = HOSTILE[:-1]
    engines = {}
    for i, kind in enumerate(kinds):
        engine = fake(f"bad-{i}")
        engine.containers = [container(f"{i:064x}", f"of-{i}")]
        engines[kind] = engine
    m = manager([good, *engines.values()])
    before = m.rss()
    for kind, engine in engines.items():
        engine.on_all(kind)
        engine.drop_connections()

    def all_down():
        nodes = m.nodes()
        down = ("Unhealthy", "Disconnected")
        return all(nodes[e.addr]["Status"] in down for e in engines.values())

    wait_until(all_down, "the hostile engines to be unhealthy", 90)
    assert m.status_of(good.addr) == "Healthy"
    nodes = m.nodes()
    for kind, engine in engines.items():
        assert nodes[engine.addr]["Error"], kind.__name__
    assert m.rss() - before < 192 * MIB
    assert sorted(m.ps("all=0")) == ["good/fine"]
    assert len(m.ps()) == 1 + len(kinds)
    reply = m.request("GET", "/containers/of-0/json")
    assert reply.status in (500, 502, 503), reply
    assert "Container of-0 running on unhealthy node bad-0" in reply.message()
    for engine in engines.values():
        engine.behave()
    m.wait_healthy(len(engines) + 1, 90)


def test_engines_that_are_never_good(fake, manager):
    """From the start: pending with a reason each, and the manager works."""
    good = fake("good")
    engines = []
    for kind in HOSTILE:
        engine = fake("bad")
        engine.on_all(kind)
        engines.append(engine)
    m = manager([good, *engines], nodes=1)

    def all_told():
        nodes = m.nodes()
        return all(nodes[e.addr].get("Error") for e in engines)

    wait_until(all_told, "every bad engine to have a reason", 60)
    assert m.status_of(good.addr) == "Healthy"
    assert {m.status_of(e.addr) for e in engines} <= {"Pending", "Unhealthy", "Disconnected"}
    assert m.nodes()[engines[0].addr]["Name"] == "(unknown)"


def test_flood_of_events(pair):
    """Nonsense and floods on the stream of events: resynchronised, nothing else."""
    nonsense = {"Type": "x", "Action": "y", "Actor": {}, "time": 1}
    wait_until(lambda: pair.bad.emit(nonsense), "a stream")
    before = pair.rss()
    junks = [b"{", b"}{][" * 1000, b'"x"\n', b"null\n", b'{"Type":1}\n']
    for junk in [*junks, b"[" * 100000, b"\0" * 1000]:
        wait_until(lambda: pair.bad.emit(junk), "a stream to send junk to")
    wait_until(lambda: pair.bad.emit(b"{" + b'"a":"' + b"x" * 8 * MIB), "a stream")
    assert pair.request("GET", "/_ping", timeout=3).status == 200
    assert pair.rss() - before < 96 * MIB
    # What changes afterwards is seen.
    pair.bad.containers.append(container("d" * 64, "later"))

    def told():
        pair.bad.emit(
            {
                **{"Type": "container", "Action": "start", "time": int(time.time())},
                **{"timeNano": time.time_ns(), "Actor": {"ID": "d" * 64, "Attributes": {}}},
            }
        )
        return "bad/later" in pair.ps()

    wait_until(told, "the new container to be listed", 30, interval=0.5)
    assert pair.status_of(pair.good.addr) == "Healthy"


def test_bad_records_do_not_spoil_the_list(fake, manager):
    """One container's entry is nonsense; the others are listed."""
    engine = fake("odd")
    engine.containers = [
        container("1" * 64, "good-1"),
        {"Id": "2" * 64},
        {"Id": 5, "Names": "x"},
        {**container("3" * 64, "x"), "Names": None},
        {**container("4" * 64, "x"), "Names": ["/\x1b[31mred", "/" + "n" * 10000]},
        container("../../../etc", "evil"),
        container("5" * 64, "good-2"),
    ]
    m = manager([engine])
    listed = m.json("GET", "/containers/json?all=1")
    names = {name for entry in listed for name in entry["Names"]}
    assert {"/odd/good-1", "/odd/good-2"} <= names
    assert not any("etc" in entry["Id"] for entry in listed)


def test_same_engine_id_twice(fake, manager):
    """Cloned machines: both are nodes, and the log warns."""
    engines = [fake(f"clone-{i}", engine_id="SAME:ID") for i in range(3)]
    m = manager(engines)
    assert {n["Name"] for n in m.nodes().values()} == {"clone-0", "clone-1", "clone-2"}
    holds_for(lambda: healthy(m, engines), "three healthy nodes", 2)
    assert "SAME:ID" in m.log()


# ---- real engines that fail ----


def test_engine_dies_and_comes_back(manager, three):
    m = manager(three)
    on = {"Env": ["constraint:node==node-1"]}
    m.run("here", **on)
    m.run("there", Env=["constraint:node==node-2"])
    three[0].kill()
    m_reply = m.request("GET", "/containers/here/json")
    assert m_reply.status in (500, 502, 503, 504), m_reply
    m_reply.message()
    wait_until(lambda: m.status_of(three[0].addr) != "Healthy", "node-1 to be down", 60)
    assert m.status_of(three[1].addr) == "Healthy"
    assert m.ps()["node-1/here"]["Status"] == "Host Down"
    assert list(m.ps("all=0")) == ["node-2/there"]
    three[0].restart_daemon()
    m.wait_healthy(3, 60)
    # Its containers ended with it; the list says so without being asked twice.
    wait_until(lambda: m.ps()["node-1/here"]["State"] == "exited", "the true state")
    assert m.request("POST", "/containers/here/start").status == 204


def test_engine_is_cut_off(manager, three):
    """Packets vanish: streams to it end, it is told as down; healed, all is as before."""
    m = manager(three)
    m.run("here", Env=["constraint:node==node-3"])
    three[2].cut()
    try:
        wait_until(lambda: m.status_of(three[2].addr) != "Healthy", "node-3 to be down", 90)
        assert healthy(m, three[:2])
        for _ in range(4):
            m.create()
    finally:
        three[2].heal()
    m.wait_healthy(3, 60)
    assert m.ps()["node-3/here"]["State"] == "running"


def test_short_trouble_changes_nothing(manager, three):
    """Two seconds without a network: no node changes its state."""
    m = manager(three)
    seen = set()

    def watch():
        seen.update(n["Status"] for n in m.nodes().values())
        return True

    three[0].cut()
    try:
        holds_for(watch, "", 2)
    finally:
        three[0].heal()
    holds_for(watch, "", 5)
    assert seen == {"Healthy"}
    assert m.request("GET", "/containers/json").status == 200


def test_create_while_an_engine_hangs(manager, three):
    """Its create ends with an error in bounded time; the others go on; nothing stays reserved."""
    m = manager(three)
    three[0].pause()
    started = time.monotonic()
    replies = in_parallel(
        lambda i: m.request("POST", f"/containers/create?name=c{i}", {"Image": IMAGE}, timeout=100),
        range(6),
    )
    assert time.monotonic() - started < 90
    assert sum(r.status == 201 for r in replies) >= 4
    for reply in replies:
        assert reply.status in (201, 500, 502, 503, 504), reply
    three[0].resume()
    m.wait_healthy(3, 60)
    for i, reply in enumerate(replies):
        again = m.request("POST", f"/containers/create?name=c{i}", {"Image": IMAGE})
        # 201 only if there is none of that name yet, anywhere.
        count = sum(e.names().count(f"c{i}") for e in three)
        assert (again.status, count) in ((201, 1), (409, 1)), (i, reply, again)


def test_ping_while_engines_hang(manager, three):
    """The API answers at once whatever the engines do."""
    m = manager(three)
    for engine in three:
        engine.pause()
    times = []
    with m.connect() as c:
        end = time.monotonic() + 8
        while time.monotonic() < end:
            began = time.monotonic()
            assert c.request("GET", "/_ping").status == 200
            assert c.request("GET", "/containers/json?all=1").status == 200
            times.append(time.monotonic() - began)
    times.sort()
    assert times[int(len(times) * 0.99)] < 0.25, times[-20:]


def test_descriptors_stay_flat(manager, fake):
    """20,000 requests, some of them to an engine that hangs."""
    good, bad = fake("good"), fake("bad")
    good.containers = [container("a" * 64, "fine")]
    bad.containers = [container("b" * 64, "stuck")]
    m = manager([good, bad])
    gate = threading.Event()
    bad.on("GET", "/top$", lambda c, r: gate.wait(30) and False)

    def work(_):
        with m.connect() as c:
            for i in range(500):
                assert c.request("GET", "/containers/fine/json").status == 200

    def abandon(_):
        with m.connect() as c:
            c.send_request("GET", "/containers/stuck/top")
            time.sleep(0.05)

    in_parallel(work, range(8))
    before, rss = m.descriptors(), m.rss()
    for _ in range(4):
        in_parallel(work, range(8))
        in_parallel(abandon, range(40))
    wait_until(lambda: m.descriptors() <= before * 1.05 + 4, "the descriptors to be as before")
    assert m.rss() - rss < 48 * MIB
    assert good.open_connections() <= 12
    gate.set()


def test_engine_that_answers_for_another_version(fake, manager):
    """Each engine is spoken to in a version that it knows."""
    old = fake("old", api="1.41", min_api="1.12")
    new = fake("new", api="1.52", min_api="1.44")
    for engine, letter in ((old, "a"), (new, "b")):
        engine.containers = [container(letter * 64, f"on-{engine.name}")]
    m = manager([old, new])
    for version in ("/v1.24", "/v1.41", ""):
        for name in ("on-old", "on-new"):
            reply = m.request("GET", f"{version}/containers/{name}/json")
            assert reply.status == 200, (version, name, reply)

    def version(request):
        parts = request.target.split("/")[1]
        return tuple(map(int, parts[1:].split("."))) if parts.startswith("v1.") else None

    for engine, low, high in ((old, (1, 12), (1, 41)), (new, (1, 44), (1, 52))):
        for request in engine.seen("GET", "/containers/"):
            assert version(request) is None or low <= version(request) <= high, request.target
    reply = m.request("GET", "/v9.99/version")
    assert reply.status == 400, reply
    assert "9.99" in reply.message()


def test_errors_in_a_pull_are_told(fake, manager):
    """One engine fails: the last object says so; a line longer than 64 KiB is no end."""

    def ok(c, request):
        c.sendall(answer(200, b'{"status":"Pulling"}\n{"status":"' + b"x" * 100000 + b'"}\n'))
        return True

    def fails(c, request):
        error = b'{"error":"no room","errorDetail":{"message":"no room"}}\n'
        c.sendall(answer(200, b'{"status":"Pulling"}\n' + error))
        return True

    one, two = fake("one"), fake("two")
    one.on("POST", "/images/create$", ok)
    two.on("POST", "/images/create$", fails)
    m = manager([one, two])
    reply = m.request("POST", "/images/create?fromImage=some&tag=1")
    assert reply.status == 200, reply
    objects = [json.loads(line) for line in reply.body.splitlines() if line]
    assert "error" in objects[-1] and "errorDetail" in objects[-1]
    assert "no room" in objects[-1]["error"]
    assert {o.get("id") for o in objects} >= {"one", "two"}
    assert not any("error" in o for o in objects[:-1])
