"""The manager's picture of the cluster follows the engines, whoever changes them."""

import contextlib
import json
import socket
import threading
from urllib.parse import quote

import pytest

from lab.engine import IMAGE
from lab.fake_engine import container
from lab.waiting import in_parallel
from lab.waiting import wait_until as _wait

SOON = 5.0  # seconds; what is changed behind the manager's back is known by then


def wait_until(condition, what):
    return _wait(condition, what, SOON)


def make(engine, name, **config):
    config = {"Image": IMAGE, "Cmd": ["sleep", "1000"], **config}
    return engine.json("POST", f"/containers/create?name={name}", config)["Id"]


class Tap:
    """A way to an engine that remembers what is sent to it: each piece that comes at once, a
    connection after the other."""

    def __init__(self, engine):
        self.engine = engine
        self.connections = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.addr = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client = self._listener.accept()[0]
            host, port = self.engine.addr.split(":")
            engine = socket.create_connection((host, int(port)))
            self.connections.append([])
            ways = ((client, engine, self.connections[-1]), (engine, client, None))
            for way in ways:
                threading.Thread(target=self._pass, args=way, daemon=True).start()

    @staticmethod
    def _pass(source, target, pieces):
        with contextlib.suppress(OSError):  # either side may be gone
            while data := source.recv(65536):
                if pieces is not None:
                    pieces.append(data)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


def states(m):
    return {name: entry["State"] for name, entry in m.ps().items()}


@pytest.mark.parametrize("size", [1200000, 4194000])
def test_a_large_label_costs_no_node(manager, three, size):
    """Made past the manager, which would refuse it: listed, removable, and its node never minds."""
    m = manager(three[:2])
    make(three[0], "large", Labels={"big": "a" * size})
    _wait(lambda: states(m) == {"node-1/large": "created"}, "the container is listed", 20)
    make(three[0], "next")
    wait_until(lambda: len(states(m)) == 2, "events are still heard")
    assert m.request("GET", "/containers/large/json").status == 200
    assert m.request("DELETE", "/containers/large?force=1").status == 204
    assert list(states(m)) == ["node-1/next"]
    assert [node["Status"] for node in m.nodes().values()] == ["Healthy"] * 2


def test_what_was_there_before(manager, three):
    for i, engine in enumerate(three):
        for j in range(3):
            container_id = make(engine, f"old-{i}-{j}")
            if j:
                engine.json("POST", f"/containers/{container_id}/start")
    m = manager(three)
    assert states(m) == {
        f"node-{i + 1}/old-{i}-{j}": "running" if j else "created"
        for i in range(3)
        for j in range(3)
    }
    info = m.json("GET", "/info")
    assert (info["Containers"], info["ContainersRunning"]) == (9, 6)


def test_engine_is_asked_without_waiting(manager, three):
    """A real engine answers several requests that come at once, in their order."""
    engine = three[0]
    ids = [make(engine, f"c{i}") for i in range(60)]
    tap = Tap(engine)
    m = manager([tap])
    assert {entry["Id"] for entry in m.ps().values()} == set(ids)
    assert set(states(m)) == {f"node-1/c{i}" for i in range(60)}
    asked = [[piece.count(b"/json HTTP/1.1\r\n") for piece in c] for c in tap.connections]
    assert sum(map(sum, asked)) >= 60
    assert max(map(max, asked)) >= 4
    # The events, and three over which the rest goes.
    assert len(tap.connections) <= 5


def test_changes_behind_its_back(manager, three):
    m = manager(three)
    engine = three[1]
    container_id = make(engine, "own")
    wait_until(lambda: states(m) == {"node-2/own": "created"}, "a create")
    engine.json("POST", f"/containers/{container_id}/start")
    wait_until(lambda: states(m) == {"node-2/own": "running"}, "a start")
    engine.json("POST", f"/containers/{container_id}/pause")
    wait_until(lambda: states(m) == {"node-2/own": "paused"}, "a pause")
    engine.json("POST", f"/containers/{container_id}/unpause")
    engine.json("POST", f"/containers/{container_id}/rename?name=renamed")
    wait_until(lambda: states(m) == {"node-2/renamed": "running"}, "a rename")
    m.create("own")
    engine.json("POST", f"/containers/{container_id}/kill")
    wait_until(lambda: states(m)["node-2/renamed"] == "exited", "a kill")
    engine.json("DELETE", f"/containers/{container_id}")
    wait_until(lambda: "node-2/renamed" not in states(m), "a removal")
    m.create("renamed")


def test_program_ends_by_itself(manager, three):
    m = manager(three)
    m.run("brief", Cmd=["sh", "-c", "sleep 1; exit 3"])

    def ended():
        entry = list(m.ps().values())[0]
        return entry["State"] == "exited" and "Exited (3)" in entry["Status"]

    wait_until(ended, "its end")


def test_images_behind_its_back(manager, three):
    m = manager(three)
    three[2].request("POST", f"/images/{IMAGE}/tag?repo=tagged&tag=x")
    wait_until(
        lambda: "tagged:x" in [t for i in m.json("GET", "/images/json") for t in i["RepoTags"]],
        "the tag",
    )
    three[2].request("DELETE", "/images/tagged:x")
    wait_until(
        lambda: "tagged:x" not in [t for i in m.json("GET", "/images/json") for t in i["RepoTags"]],
        "the tag to be gone",
    )


def test_churn_behind_its_back(manager, three):
    """Many changes at once; afterwards the picture is exact."""
    m = manager(three)

    def churn(engine):
        for i in range(15):
            container_id = make(engine, f"{engine.name}-{i}", Cmd=["true"])
            if i % 3 == 0:
                engine.json("POST", f"/containers/{container_id}/start")
            if i % 2 == 0:
                engine.request("DELETE", f"/containers/{container_id}?force=1")

    in_parallel(churn, three)

    def exact():
        truth = {}
        for engine in three:
            for entry in engine.containers():
                truth[engine.name + entry["Names"][0]] = entry["State"]
        return states(m) == truth

    wait_until(exact, "the manager to know exactly what is there")


def test_lost_streams_are_made_good(fake, manager):
    """The stream of events breaks while something changes: seen by the next synchronisation."""
    engine = fake("torn")
    m = manager([engine])
    for i in range(5):
        engine.containers = [container(f"{i + 1:064x}", f"round-{i}")]
        engine.drop_connections()
        wait_until(lambda: list(m.ps()) == [f"torn/round-{i}"], f"round {i}")
    assert m.status_of(engine.addr) == "Healthy"


def objects(connection):
    """The objects of a stream of JSON lines, one by one."""
    buffer = b""
    while True:
        buffer += connection.read_chunk()
        *lines, buffer = buffer.split(b"\n")
        yield from (json.loads(line) for line in lines if line.strip())


def test_events_of_all_nodes(manager, three):
    """Every event of every engine, once, with its node, in one stream."""
    m = manager(three)
    filters = quote(json.dumps({"type": ["container"]}))
    with m.connect(timeout=20) as c:
        c.send_request("GET", f"/events?filters={filters}")
        assert c.read_head().status == 200
        ids = {}
        for engine in three:
            container_id = make(engine, f"by-{engine.name}", Cmd=["true"])
            ids[container_id] = engine.name
            engine.json("DELETE", f"/containers/{container_id}")
        stream = objects(c)
        seen = [next(stream) for _ in range(6)]
    for container_id, node in ids.items():
        own = [e for e in seen if e["Actor"]["ID"] == container_id]
        assert [e["Action"] for e in own] == ["create", "destroy"]
        for event in own:
            assert event["Actor"]["Attributes"]["node.name"] == node
            assert event["node"]["Name"] == node
            assert event["from"].endswith(f" node:{node}")


def test_events_of_the_cluster(fake, manager, tmp_path):
    """Nodes that come and go are events too."""
    one, two = fake("one"), fake("two")
    path = tmp_path / "nodes"
    path.write_text(one.addr)
    m = manager(f"file://{path}", "--heartbeat", "1s", nodes=1)
    with m.connect(timeout=20) as c:
        filters = quote(json.dumps({"type": ["swarm"]}))
        c.send_request("GET", f"/events?filters={filters}")
        assert c.read_head().status == 200
        stream = objects(c)
        path.write_text(f"{one.addr}\n{two.addr}\n")
        event = next(stream)
        assert (event["Type"], event["Action"]) == ("swarm", "engine_connect")
        assert event["Actor"]["Attributes"]["node.name"] == "two"
        path.write_text(one.addr)
        event = next(stream)
        assert (event["Type"], event["Action"]) == ("swarm", "engine_disconnect")


def test_node_that_is_removed_takes_its_containers_along(fake, manager, tmp_path):
    one, two = fake("one"), fake("two")
    one.containers = [container("1" * 64, "first")]
    two.containers = [container("2" * 64, "second")]
    path = tmp_path / "nodes"
    path.write_text(f"{one.addr}\n{two.addr}\n")
    m = manager(f"file://{path}", "--heartbeat", "1s", nodes=2)
    assert sorted(m.ps()) == ["one/first", "two/second"]
    path.write_text(one.addr)
    wait_until(lambda: sorted(m.ps()) == ["one/first"], "the second to be gone")
    assert m.request("GET", "/containers/second/json").status == 404
    path.write_text(f"{one.addr}\n{two.addr}\n")
    wait_until(lambda: sorted(m.ps()) == ["one/first", "two/second"], "it to be back")


# ---- lists ----


@pytest.fixture
def listed(manager, three):
    m = manager(three)
    m.run("web", Labels={"tier": "front", "x": "1"}, Env=["constraint:node==node-1"])
    m.run("db", Labels={"tier": "back"}, Env=["constraint:node==node-2"])
    m.create("idle", Env=["constraint:node==node-3"])
    m.run("done", Cmd=["sh", "-c", "exit 5"], Env=["constraint:node==node-3"])
    _wait(lambda: states(m)["node-3/done"] == "exited", "it to end")
    return m


@pytest.mark.parametrize(
    "filters, names",
    [
        ({"name": ["web"]}, ["web"]),
        ({"name": ["node-2/d"]}, ["db"]),
        ({"name": ["b"]}, ["db", "web"]),
        ({"name": ["/eb"]}, []),
        ({"name": ["/we", "nosuch"]}, ["web"]),
        ({"name": ["[a-e]b$"]}, ["db", "web"]),
        ({"label": ["tier"]}, ["db", "web"]),
        ({"label": ["tier=front"]}, ["web"]),
        ({"label": ["tier=front", "x=2"]}, []),
        ({"status": ["exited"]}, ["done"]),
        ({"status": ["created"]}, ["idle"]),
        ({"status": ["running", "created"]}, ["db", "idle", "web"]),
        ({"exited": ["5"]}, []),
        ({"exited": ["5"], "status": ["exited"]}, ["done"]),
        ({"node": ["node-1"]}, ["web"]),
        ({"node": ["node-1", "node-2"]}, ["db", "web"]),
        ({"ancestor": [IMAGE]}, ["db", "web"]),
        ({"ancestor": ["other"]}, []),
        ({"before": ["db"]}, ["web"]),
        ({"since": ["web"]}, ["db"]),
        ({"name": ["web"], "node": ["node-2"]}, []),
        # The form of old: {"name": {"web": true}}.
        ({"name": {"web": True}}, ["web"]),
    ],
    ids=str,
)
def test_filters(listed, filters, names):
    shown = listed.ps("filters=" + quote(json.dumps(filters)))
    assert sorted(name.split("/")[1] for name in shown) == names


def test_limits_and_order(listed):
    entries = listed.json("GET", "/containers/json?all=1")
    created = [e["Created"] for e in entries]
    assert created == sorted(created, reverse=True)
    assert [e["Names"][0] for e in listed.json("GET", "/containers/json?limit=2")] == [
        e["Names"][0] for e in entries[:2]
    ]
    for key, value in (
        *(("status", "nonsense"), ("exited", "x"), ("health", "maybe")),
        *(("before", "none"), ("since", "none")),
    ):
        filters = quote(json.dumps({key: [value]}))
        reply = listed.request("GET", f"/containers/json?filters={filters}")
        assert reply.status in ((400, 404) if value == "none" else (400,)), (key, reply)


def test_expressions_that_explode(listed):
    """What is compiled for one list has a bound; the list that asks for more is refused at once."""
    values = [f"((a{{1,30}}){{1,30}}){i}" for i in range(200)]
    filters = quote(json.dumps({"name": values}))
    reply = listed.request("GET", f"/containers/json?all=1&filters={filters}")
    assert reply.status == 400, reply
    assert "too large together" in reply.message()
    assert listed.request("GET", "/_ping").status == 200


def test_lists_are_the_engines_own(listed, three):
    """An entry is what the engine says, but for the node's name and address."""
    for engine in three:
        own = {e["Id"]: e for e in engine.containers()}
        for name, entry in listed.ps().items():
            if name.startswith(engine.name + "/"):
                theirs = own[entry["Id"]]
                for key in ("Image", "ImageID", "Command", "Created", "Labels", "State"):
                    assert entry[key] == theirs[key], key


def test_many_nodes(manager, simulate):
    """A hundred simulated engines: all known soon, spread evenly, listed as one."""
    sim = simulate(100)
    m = manager(sim.addrs, nodes=100)
    assert m.json("GET", "/info")["NCPU"] >= 100

    def create(worker):
        nodes = []
        with m.connect() as c:
            for i in range(50):
                body = {"Image": IMAGE, "Cmd": ["sleep", "1000"]}
                reply = c.request("POST", f"/containers/create?name=w{worker}-{i}", body)
                assert reply.status == 201, reply
                nodes.append(reply.json()["Id"])
        return nodes

    made = [i for ids in in_parallel(create, range(4)) for i in ids]
    assert len(set(made)) == 200
    nodes = [name.split("/")[0] for name in m.ps()]
    counts = [nodes.count(n) for n in set(nodes)]
    assert (min(counts), max(counts), len(counts)) == (2, 2, 100)


def test_simulated_engine_is_like_a_real_one(manager, simulate, three):
    """The same requests to both give answers of the same shape."""
    sim = simulate(1)
    shapes = []
    for addrs in (sim.addrs, [three[0].addr]):
        m = manager(addrs)
        container_id = m.run("same")
        shape = {
            "list": sorted(m.ps()[list(m.ps())[0]]),
            "inspect": sorted(m.json("GET", f"/containers/{container_id}/json")),
            "taken": m.request("POST", "/containers/create?name=same", {"Image": IMAGE}).status,
            "no image": m.request("POST", "/containers/create", {"Image": "notfound/none"}).status,
            "remove running": m.request("DELETE", "/containers/same").status,
            "stop": m.request("POST", "/containers/same/stop?t=0").status,
            "stop again": m.request("POST", "/containers/same/stop?t=0").status,
            "remove": m.request("DELETE", "/containers/same").status,
        }
        shapes.append(shape)
    assert shapes[0] == shapes[1]
