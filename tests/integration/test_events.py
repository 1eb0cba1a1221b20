"""The stream of events: filters, history, order, and that nothing is lost or told twice."""

import json
import random
import select
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from lab import http
from lab.engine import IMAGE
from lab.fake_engine import answer
from lab.waiting import in_parallel, wait_until


def key(event):
    """What makes an event the one it is."""
    return event["timeNano"], event["Type"], event["Action"], event["Actor"]["ID"]


def events_of(thing, **query):
    """All that the stream tells until it ends."""
    if "filters" in query:
        query["filters"] = quote(json.dumps(query["filters"]))
    target = "/events?" + "&".join(f"{k}={v}" for k, v in query.items())
    reply = thing.request("GET", target, timeout=30)
    assert reply.status == 200, reply
    return [json.loads(line) for line in reply.body.split(b"\n") if line.strip()]


def of_engines(events):
    return [e for e in events if e["Type"] != "swarm"]


class Listener:
    """Reads a stream of events until it ends, or the block does."""

    def __init__(self, address, target="/events"):
        self.events = []
        self.connection = http.Connection(address, 60)
        self.connection.send_request("GET", target)
        assert self.connection.read_head().status == 200
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.stream.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.connection.close()

    def _read(self):
        buffer = b""
        try:
            while True:
                buffer += self.connection.read_chunk()
                *lines, buffer = buffer.split(b"\n")
                self.events += [json.loads(line) for line in lines if line.strip()]
        except (OSError, ValueError):
            pass


def live_through(engine, name):
    """One of everything that an engine tells of."""
    ids = {}
    engine.json("POST", f"/images/{IMAGE}/tag?repo=own/{name}&tag=x")
    config = {"Image": f"own/{name}:x", "Cmd": ["sleep", "100"], "Labels": {"color": name}}
    ids["container"] = engine.json("POST", f"/containers/create?name={name}", config)["Id"]
    ids["network"] = engine.json("POST", "/networks/create", {"Name": f"net-{name}"})["Id"]
    engine.json("POST", f"/networks/net-{name}/connect", {"Container": name})
    engine.json("POST", f"/containers/{name}/start")
    done = engine.json("POST", f"/containers/{name}/exec", {"Cmd": ["true"]})
    engine.json("POST", f"/exec/{done['Id']}/start", {"Detach": True})
    engine.json("POST", "/volumes/create", {"Name": f"vol-{name}"})
    engine.json("DELETE", f"/containers/{name}?force=1")
    engine.json("DELETE", f"/networks/net-{name}")
    engine.json("DELETE", f"/volumes/vol-{name}")
    engine.json("DELETE", f"/images/own/{name}:x")
    return ids


def test_filters_as_an_engine(manager, three):
    engine = three[0]
    m = manager([engine])
    since = time.time()
    ids = live_through(engine, "one")
    live_through(engine, "two")
    wait_until(lambda: "two" not in engine.names(), "the end")
    until = f"{time.time():.9f}"
    everything = [key(e) for e in events_of(engine, since=since, until=until)]

    def all_known():
        seen = {key(e) for e in events_of(m, since=since, until=until)}
        return seen.issuperset(everything)

    wait_until(all_known, "the manager to know all")
    for filters in (
        {},
        {"type": ["container"]},
        {"type": ["network", "volume"]},
        {"event": ["create"]},
        {"event": ["exec_create"]},
        {"event": ["exec_create", "die"]},
        {"event": ["exec_start: true "]},
        {"container": ["one"]},
        {"container": ["on"]},
        {"container": [ids["container"]]},
        {"container": [ids["container"][:12]]},
        {"network": ["net-one"]},
        {"network": [ids["network"][:5]]},
        {"volume": ["vol-two"]},
        {"image": ["own/one"]},
        {"image": ["own/one:x"]},
        {"image": ["own/on"]},
        {"image": [IMAGE]},
        {"label": ["color=one"]},
        {"label": ["color"]},
        {"label": ["color", "color=two"]},
        {"scope": ["local"]},
        {"scope": ["swarm"]},
        {"daemon": ["x"]},
        {"plugin": ["x"]},
        {"service": ["x"]},
        {"type": ["container"], "event": ["create", "destroy"], "label": ["color=two"]},
    ):
        own = of_engines(events_of(m, since=since, until=until, filters=filters))
        theirs = events_of(engine, since=since, until=until, filters=filters)
        assert [key(e) for e in own] == [key(e) for e in theirs], filters
    for filters, count in (({"node": ["node-1"]}, len(everything)), ({"node": ["node-2"]}, 0)):
        own = of_engines(events_of(m, since=since, until=until, filters=filters))
        assert len(own) == count, filters
    assert m.request("GET", "/events?filters=" + quote('{"foo":["x"]}')).status == 400


def test_times(manager, three):
    m = manager(three[:1])
    for query in ("since=x", "until=x", "since=1.2x", "since=10m", "since=5&until=3"):
        assert m.request("GET", f"/events?{query}").status == 400, query
    reply = m.request("GET", "/events?since=-3&until=-5")
    theirs = three[0].request("GET", "/events?since=5&until=3")
    assert m.request("GET", "/events?since=5&until=3").message() == theirs.message()
    # An end in the past ends the stream at once, one in the future then.
    assert events_of(m, until=1) == []
    assert events_of(m, since=1, until="2.5") == []
    begin = time.time()
    events_of(m, until=f"{begin + 1.5:.3f}")
    assert 1.2 < time.time() - begin < 15


def test_what_was_before_the_manager(manager, three):
    """The engines' own memory is part of the history, in one order, whatever node it is on."""
    since = time.time()
    in_parallel(lambda e: live_through(e, f"before-{e.name}"), three)
    m = manager(three)
    in_parallel(lambda e: live_through(e, f"after-{e.name}"), three)
    until = f"{time.time():.9f}"
    truth = []
    for engine in three:
        theirs = events_of(engine, since=since, until=until)
        assert len(theirs) > 20
        truth += [key(e) for e in theirs]

    def own():
        return of_engines(events_of(m, since=since, until=until))

    wait_until(lambda: len(own()) >= len(truth), "the last events")
    seen = [key(e) for e in own()]
    assert sorted(seen) == sorted(truth)
    assert [t for t, *_ in seen] == sorted(t for t, *_ in truth)
    for event in own():
        assert event["node"]["Name"] == event["Actor"]["Attributes"]["node.name"]
        assert event["from"].endswith(f" node:{event['node']['Name']}")
    # Live ones follow without a gap.
    with Listener(m.address, f"/events?since={since}") as listener:
        three[0].json("POST", "/volumes/create", {"Name": "later"})
        wait_until(lambda: [e for e in listener.events if e["Actor"]["ID"] == "later"], "the event")
        told = [key(e) for e in of_engines(listener.events)]
        assert told[: len(seen)] == seen
        assert len(told) == len(set(told))


def event(number, name, pad=""):
    at = 1_700_000_000_000_000_000 + number * 1000
    attributes = {"name": f"{name}-{number}", "pad": pad}
    return {
        **{"Type": "volume", "Action": "mount", "scope": "local", "time": at // 10**9},
        **{"timeNano": at, "Actor": {"ID": f"{name}-{number}", "Attributes": attributes}},
    }


def emit(engine, first, last, pad=""):
    for begin in range(first, last, 100):
        lines = [json.dumps(event(n, engine.name, pad)) for n in range(begin, min(begin + 100, last))]
        engine.emit("\n".join(lines).encode() + b"\n")


def test_beyond_what_is_kept(fake, manager):
    """More events than the manager keeps: the engine is asked for the rest, and for that alone."""
    engine = fake("busy")
    total = 5000
    m = manager([engine])
    with Listener(m.address) as listener:
        emit(engine, 0, total)
        wait_until(lambda: len(of_engines(listener.events)) == total, "all events", 60)
    asked = []

    def history(c, request):
        if "until=" not in request.target:
            return engine._answer(c, request)
        asked.append(request.target)
        lines = [json.dumps(event(n, "busy")) for n in range(700, 1100)]
        c.sendall(answer(200, "\n".join(lines).encode()))
        return True

    engine.on("GET", "^/events$", history)
    last = f"{time.time():.3f}"
    own = [e["Actor"]["ID"] for e in of_engines(events_of(m, since=1, until=last))]
    assert own == [f"busy-{n}" for n in range(700, total)]
    assert len(asked) == 1
    # What is kept whole is told from here.
    own = [e["Actor"]["ID"] for e in of_engines(events_of(m, since="1700000000.003000000", until=last))]
    assert own == [f"busy-{n}" for n in range(3000, total)]


def test_history_without_a_node(fake, manager):
    good, bad = fake("good"), fake("bad")
    for engine, reply in (
        (good, answer(200, json.dumps(event(1, "good")).encode())),
        (bad, answer(500, {"message": "forgotten"})),
    ):
        watching = engine._answer

        def history(c, request, reply=reply, watching=watching):
            if "until=" not in request.target:
                return watching(c, request)
            c.sendall(reply)
            return True

        engine.on("GET", "^/events$", history)
    m = manager([good, bad])
    reply = m.request("GET", f"/events?since=1&until={time.time():.3f}")
    events = [json.loads(line) for line in reply.body.split(b"\n") if line]
    assert [e["Actor"]["ID"] for e in of_engines(events)] == ["good-1"]
    assert reply.header("Warning") == '199 swarm "node bad: forgotten"'


def test_what_happens_while_engines_are_asked(fake, manager):
    """Belongs to a stream that goes on, and not to one whose end is past."""
    engine = fake("slow")
    m = manager([engine])
    may_answer = threading.Event()
    watching = engine._answer

    def history(c, request):
        if "until=" not in request.target:
            return watching(c, request)
        may_answer.wait(30)
        c.sendall(answer(200, json.dumps(event(1, "slow")).encode()))
        return True

    engine.on("GET", "^/events$", history)
    at = event(1, "slow")["time"]

    def own_of(**query):
        return [e["Actor"]["ID"] for e in of_engines(events_of(m, since=1, **query))]

    def told():
        """Its time is after both ends: a clock that is ahead."""
        with Listener(m.address) as listener:
            engine.emit({**event(2, "slow"), "timeNano": 2 * 10**18})
            wait_until(lambda: of_engines(listener.events), "the event")
        may_answer.set()

    ends = [{"until": at + 1}, {"until": f"{time.time() + 3:.3f}"}]
    with ThreadPoolExecutor(2) as pool:
        past, going_on = [pool.submit(own_of, **end) for end in ends]
        wait_until(lambda: len(engine.seen("GET", "/events[?].*until=")) == 2, "both calls")
        told()
        assert past.result() == ["slow-1"]
        assert going_on.result() == ["slow-1", "slow-2"]


def test_client_that_leaves_while_engines_are_asked(fake, manager):
    engine = fake("mute")
    m = manager([engine])
    before = m.descriptors()
    for _ in range(5):
        with m.connect() as c:
            count = len(engine.seen("GET", "/events[?]since=1[.]"))
            c.send_request("GET", "/events?since=1")
            wait_until(lambda: len(engine.seen("GET", "/events[?]since=1[.]")) > count, "the call")
    wait_until(lambda: m.descriptors() <= before + 2, "the descriptors to be given back")


def test_slow_listener(fake, manager):
    """One that does not read loses its stream; the others notice nothing."""
    engine = fake("loud")
    m = manager([engine])
    total = 7000
    with m.connect(timeout=60) as slow, Listener(m.address) as listener:
        # The sockets between take as little as can be.
        slow.stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        slow.send_request("GET", "/events")
        assert slow.read_head().status == 200
        # More than they and what the manager keeps can take.
        emit(engine, 0, total, pad="x" * 2500)
        wait_until(lambda: len(of_engines(listener.events)) == total, "all events", 90)
        told = [e["Actor"]["ID"] for e in of_engines(listener.events)]
        assert told == [f"loud-{n}" for n in range(total)]
        # The slow one reads on now, and finds an end that is not the stream's.
        with pytest.raises(OSError):
            while True:
                slow.read_chunk()
        assert "too slowly" in m.log()


# ---- A stream that is broken again and again ----


class Proxy:
    """Between the manager and an engine; cut() breaks every connection."""

    def __init__(self, target):
        self.target = target
        self.pairs = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.addr = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
                engine = socket.create_connection(self.target)
            except OSError:
                return
            pair = (client, engine)
            with self.lock:
                self.pairs.add(pair)
            threading.Thread(target=self._pass, args=(pair,), daemon=True).start()

    def _pass(self, pair):
        try:
            while True:
                ready, _, _ = select.select(pair, (), ())
                for one in ready:
                    data = one.recv(65536)
                    if not data:
                        return
                    pair[one is pair[0]].sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.pairs.discard(pair)
            for one in pair:
                one.close()

    def cut(self):
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            for one in pair:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        return len(pairs)

    def close(self):
        self.listener.close()
        self.cut()


@pytest.fixture
def proxy(three):
    host, port = three[0].addr.rsplit(":", 1)
    made = Proxy((host, int(port)))
    yield made
    made.close()


def test_no_gap_and_no_repetition(manager, three, proxy):
    engine = three[0]
    m = manager([proxy.addr])
    chance = random.Random(7)
    over = threading.Event()
    filters = "/events?filters=" + quote('{"type":["container"]}')

    def cutter():
        while not over.wait(chance.uniform(0.1, 0.8)):
            proxy.cut()

    def come_and_go(number):
        # An engine remembers 256 events; how long the manager is away is not the point here.
        wait_until(lambda: len(truth.events) < len(seen.events) + 100, "the manager", 60)
        made = engine.json("POST", f"/containers/create?name=c{number}", {"Image": IMAGE})
        engine.json("DELETE", f"/containers/{made['Id']}")

    direct = ("unix", engine.socket)
    with Listener(direct, filters) as truth, Listener(m.address, filters) as seen:
        cutting = threading.Thread(target=cutter, daemon=True)
        cutting.start()
        try:
            in_parallel(come_and_go, range(200), 4)
        finally:
            over.set()
            cutting.join()
        wait_until(lambda: len(truth.events) >= 400, "the engine's events")
        wait_until(lambda: len(seen.events) >= len(truth.events), "the manager's events", 60)
        # An engine itself tells events of one moment in another order to each who listens.
        assert sorted(map(key, seen.events)) == sorted(map(key, truth.events))
        for one in {e["Actor"]["ID"] for e in truth.events}:
            told = [e["Action"] for e in seen.events if e["Actor"]["ID"] == one]
            assert told == ["create", "destroy"]
    # And the history afterwards is the same.
    own = events_of(m, since=1, until=f"{time.time():.3f}", filters={"type": ["container"]})
    keys = [key(e) for e in own]
    assert len(keys) == len(set(keys))
    assert sorted(keys)[-400:] == sorted(key(e) for e in truth.events)
