"""Volumes as objects of the cluster: made on one node, named node/name, and containers follow."""

import json
import urllib.parse

import pytest

from lab.engine import IMAGE
from lab.fake_engine import answer
from lab.waiting import in_parallel, wait_until


@pytest.fixture
def cluster(manager, three):
    return manager(three)


def make(cluster, name, expect=201, headers=(), **body):
    reply = cluster.request("POST", "/volumes/create", {"Name": name, **body}, headers)
    assert reply.status == expect, reply
    return reply.json() if expect == 201 else reply.message()


def listed(cluster, **filters):
    query = urllib.parse.quote(json.dumps(filters))
    return sorted(v["Name"] for v in cluster.json("GET", f"/volumes?filters={query}")["Volumes"])


def on(engine):
    return sorted(v["Name"] for v in engine.json("GET", "/volumes")["Volumes"] or [])


def with_volume(*binds):
    return {"Binds": list(binds)}


def mount(*names):
    mounts = [{"Type": "volume", "Source": n, "Target": f"/m{i}"} for i, n in enumerate(names)]
    return {"Mounts": mounts}


# ---- create, inspect, remove ----


def test_create_inspect_remove(cluster, three):
    made = make(cluster, "data", Labels={"a": "b"}, Driver="local")
    assert (made["Name"], made["Labels"]) == ("data", {"a": "b"})
    (full,) = listed(cluster)
    node = full.split("/")[0]
    assert full == f"{node}/data"
    assert [on(e) for e in three].count(["data"]) == 1
    for key in ("data", full):
        found = cluster.json("GET", f"/volumes/{key}")
        assert (found["Name"], found["Labels"]) == ("data", {"a": "b"})
    assert cluster.request("DELETE", f"/volumes/{full}").status == 204
    assert listed(cluster) == []
    gone = cluster.request("GET", "/volumes/data")
    assert (gone.status, gone.message()) == (404, "get data: no such volume")
    assert cluster.request("DELETE", "/volumes/data").status == 404
    assert cluster.request("DELETE", "/volumes/data?force=1").status == 204
    # The engine makes up a name.
    made = make(cluster, "")
    assert len(made["Name"]) == 64 and listed(cluster)[0].endswith(made["Name"])


def test_spread_and_named(cluster):
    for i in range(6):
        make(cluster, f"v{i}")
    nodes = [name.split("/")[0] for name in listed(cluster)]
    assert {nodes.count(n) for n in nodes} == {2}
    make(cluster, "node-2/named")
    make(cluster, "header", headers={"X-Swarm-Node": "node-3"})
    labels = {"com.docker.swarm.constraints": '["zone==internal"]'}
    make(cluster, "label", Labels=labels)
    assert listed(cluster, name=["^[a-z]{5,}$"]) == [
        "node-1/label",
        "node-2/named",
        "node-3/header",
    ]
    assert make(cluster, "nope/x", expect=404) == "No such node: nope"
    assert make(cluster, "no good", expect=400)  # in the engine's words


def test_what_exists_is_not_made_again(cluster, three):
    make(cluster, "node-2/data", Labels={"first": "1"})
    again = make(cluster, "data", Labels={"second": "2"})
    assert again["Labels"] == {"first": "1"}
    assert listed(cluster) == ["node-2/data"]
    assert sum(len(on(e)) for e in three) == 1
    # On another node it is another volume, and a bare name does not say which.
    make(cluster, "node-1/data")
    for method, path, body in (
        ("GET", "/volumes/data", None),
        ("DELETE", "/volumes/data", None),
        ("POST", "/volumes/create", {"Name": "data"}),
    ):
        reply = cluster.request(method, path, body)
        assert reply.status == 400, reply
        assert "node-1/data" in reply.message() and "node-2/data" in reply.message()
    pinned = {"X-Swarm-Node": "node-1"}
    assert cluster.request("GET", "/volumes/data", headers=pinned).json()["Labels"] is None
    assert cluster.request("DELETE", "/volumes/data", headers=pinned).status == 204
    assert cluster.request("DELETE", "/volumes/data", headers=pinned).status == 404
    assert listed(cluster) == ["node-2/data"]


def test_twenty_at_once(cluster, three):
    replies = in_parallel(lambda _: make(cluster, "race"), range(20), 20)
    assert {r["Name"] for r in replies} == {"race"}
    assert sum(len(on(e)) for e in three) == 1


def test_update_is_passed_on(cluster):
    make(cluster, "data")
    reply = cluster.request("PUT", "/volumes/data", {"Spec": {}})
    assert reply.status >= 400 and reply.message()  # an engine without swarm mode refuses
    assert cluster.request("PUT", "/volumes/nothing", {"Spec": {}}).status == 404


def test_bad_bodies(cluster, three):
    for body in (b"", b"{", b"[]", b'{"Name": 5}', b'{"Labels": 5}', b'{"Name":"a","name":"b"}'):
        reply = cluster.request("POST", "/volumes/create", body)
        assert reply.status == 400 and reply.message(), (body, reply)
    assert sum(len(on(e)) for e in three) == 0


# ---- the list ----


def test_filters(cluster):
    make(cluster, "node-1/web", Labels={"tier": "front"})
    make(cluster, "node-2/web-2", Labels={"tier": "back"})
    make(cluster, "node-2/web")
    cluster.create(HostConfig=with_volume("node-2/web:/data"))
    assert listed(cluster, name=["web"]) == ["node-1/web", "node-2/web", "node-2/web-2"]
    assert listed(cluster, name=["^web$"]) == ["node-1/web", "node-2/web"]
    assert listed(cluster, name=["^node-2/"]) == ["node-2/web", "node-2/web-2"]
    assert listed(cluster, label=["tier=back"]) == ["node-2/web-2"]
    assert listed(cluster, node=["node-1"]) == ["node-1/web"]
    assert listed(cluster, driver=["nothing"]) == []
    # Of two volumes of one name only the one that is used.
    assert listed(cluster, dangling=["true"]) == ["node-1/web", "node-2/web-2"]
    assert listed(cluster, dangling=["false"]) == ["node-2/web"]
    for bad in ({"dangling": ["x"]}, {"nosuch": ["x"]}):
        query = urllib.parse.quote(json.dumps(bad))
        reply = cluster.request("GET", f"/volumes?filters={query}")
        assert reply.status == 400 and next(iter(bad)) in reply.message(), reply


# ---- containers follow ----


@pytest.mark.parametrize("form", [with_volume, mount], ids=["binds", "mounts"])
def test_containers_follow(cluster, three, form):
    suffix = ":/x" if form is with_volume else ""
    make(cluster, "node-3/data")
    make(cluster, "node-1/logs")
    for _ in range(3):
        container = cluster.create(HostConfig=form("data" + suffix))
        assert cluster.node_of(container) == "node-3"
    message = cluster.create(
        expect=503, HostConfig=form("data:/d" if suffix else "data", "logs:/l" if suffix else "logs")
    )
    assert "\n[--volume=data --volume=logs]\n" in message
    assert "--volume=data is not there: node-1, node-2" in message
    # A pinned one is made there, and given to the engine by its own name.
    container = cluster.create(HostConfig=form("node-2/data" + suffix))
    assert cluster.node_of(container) == "node-2"
    assert on(three[1]) == ["data"]
    # The volumes that a create makes are known when it returns.
    container = cluster.create(HostConfig=form("new" + suffix))
    assert f"{cluster.node_of(container)}/new" in listed(cluster)
    other = cluster.create(HostConfig=form("new" + suffix))
    assert cluster.node_of(other) == cluster.node_of(container)
    assert "[node==nowhere]" in cluster.create(
        expect=503, HostConfig=form("nowhere/data" + suffix)
    )


def test_a_network_and_a_volume_meet(cluster):
    """Made one after the other, in either order and without a word about nodes, for one container."""
    for i in range(6):
        steps = [("/networks/create", f"net{i}"), ("/volumes/create", f"vol{i}")]
        for path, name in steps[:: 1 if i % 2 else -1]:
            assert cluster.request("POST", path, {"Name": name}).status == 201
        cluster.create(HostConfig={"NetworkMode": f"net{i}", "Binds": [f"vol{i}:/x"]})


def test_new_volume_at_once(cluster, three):
    """Ten containers that name the same new volume share it."""

    def one(_):
        return cluster.create(HostConfig=with_volume("shared:/x"))

    containers = in_parallel(one, range(10), 10)
    assert len({cluster.node_of(c) for c in containers}) == 1
    assert sum(len(on(e)) for e in three) == 1


def test_image_is_elsewhere(cluster, three):
    """The image is brought to the volume, never the container sent away from it."""
    make(cluster, "node-1/data")
    three[2].request("POST", f"/images/{IMAGE}/tag?repo=special&tag=v1")
    wait_until(
        lambda: any(
            "special:v1" in (i["RepoTags"] or []) for i in cluster.json("GET", "/images/json")
        ),
        "the image to be known",
    )
    container = cluster.create(Image="special:v1", HostConfig=with_volume("other:/x"))
    assert cluster.node_of(container) == "node-3"
    container = cluster.create(Image="special:v1", HostConfig=with_volume("data:/x"))
    assert cluster.node_of(container) == "node-1"


def test_node_goes_down(cluster, three):
    make(cluster, "node-2/data")
    three[1].kill()
    cluster.wait_status(three[1].addr, "Disconnected")
    for method, path, body in (
        ("GET", "/volumes/data", None),
        ("DELETE", "/volumes/data", None),
        ("POST", "/volumes/create", {"Name": "data"}),
        ("POST", "/volumes/create", {"Name": "node-2/new"}),
    ):
        reply = cluster.request(method, path, body)
        assert reply.status == 503 and "node-2" in reply.message(), reply
    message = cluster.create(expect=503, HostConfig=with_volume("data:/x"))
    assert "[--volume=data]" in message and "node-2" in message
    assert listed(cluster) == []


# ---- volumes of drivers that span nodes; the classic way ----


def test_global_driver_is_called_once(manager, fake):
    """A disk in the cloud is one for all nodes, and pins nothing."""
    engines = [fake(name=f"f{i}") for i in range(3)]
    disk = {"Name": "disk", "Driver": "cloud", "Scope": "global", "Mountpoint": "/x"}
    made = []

    def create(connection, request):
        made.append(json.loads(request.body))
        connection.sendall(answer(201, disk, reason="Created"))
        return True

    def volumes(connection, _):
        connection.sendall(answer(200, {"Volumes": [disk] if made else [], "Warnings": None}))
        return True

    for engine in engines:
        engine.on("POST", "^/volumes/create$", create)
        engine.on("GET", "^/volumes$", volumes)
    cluster = manager(engines)
    body = {"Name": "disk", "Driver": "cloud", "DriverOpts": {"size": "1"}, "Labels": {"a": "b"}}
    reply = cluster.request("POST", "/volumes/create", body)
    assert (reply.status, reply.json()) == (201, disk)
    assert made == [body]
    for engine in engines:
        engine.emit({"Type": "volume", "Action": "create", "Actor": {"ID": "disk"}, "time": 1})
    wait_until(lambda: listed(cluster) == ["disk"], "the volume to be known")
    containers = [cluster.create(HostConfig=with_volume("disk:/x")) for _ in range(3)]
    assert len({cluster.node_of(c) for c in containers}) == 3


def test_everywhere(manager, three):
    cluster = manager(three, "--cluster-opt", "swarm.volumes=all")
    everywhere = [f"{e.name}/data" for e in three]
    assert make(cluster, "data", Labels={"a": "b"})["Labels"] == {"a": "b"}
    assert listed(cluster) == everywhere
    # Any copy will do to look at; what changes one names it.
    assert cluster.json("GET", "/volumes/data")["Name"] == "data"
    assert cluster.request("PUT", "/volumes/data", {"Spec": {}}).status == 400
    name = make(cluster, "")["Name"]
    assert listed(cluster, name=[name]) == [f"{e.name}/{name}" for e in three]
    make(cluster, "node-2/one")
    assert listed(cluster, name=["one"]) == ["node-2/one"]
    where = {
        cluster.node_of(cluster.create(HostConfig=with_volume("data:/x"))) for _ in range(3)
    }
    assert len(where) == 3
    # In use: the engines' refusal; what was free is gone.
    used = cluster.create("user", HostConfig=with_volume(f"node-1/{name}:/x"))
    reply = cluster.request("DELETE", f"/volumes/{name}")
    assert reply.status == 409 and "node-1" in reply.header("Warning")
    assert listed(cluster, name=[name]) == [f"node-1/{name}"]
    assert cluster.request("DELETE", f"/containers/{used}").status == 204
    assert cluster.request("DELETE", f"/volumes/{name}").status == 204
    three[1].pause()
    cluster.wait_status(three[1].addr, "Unhealthy")
    make(cluster, "later")
    assert listed(cluster, name=["later"]) == ["node-1/later", "node-3/later"]
    assert cluster.request("DELETE", "/volumes/later").status == 204
    assert listed(cluster, name=["later"]) == []


def test_cli(cluster, three, docker):
    client = docker(cluster)
    assert client.run("volume", "create", "--label", "a=b", "data") == "data"
    full = client.run("volume", "ls", "-q", "--filter", "label=a")
    node = full.split("/")[0]
    assert full == f"{node}/data"
    assert json.loads(client.run("volume", "inspect", full))[0]["Name"] == "data"
    client.run("run", "--rm", "-v", "data:/x", IMAGE, "sh", "-c", "echo hello > /x/file")
    for source in ("data", full):
        read = client.run("run", "--rm", "-v", f"{source}:/x:ro", IMAGE, "cat", "/x/file")
        assert read == "hello"
    mounted = f"type=volume,source={full},target=/x"
    assert client.run("run", "--rm", "--mount", mounted, IMAGE, "cat", "/x/file") == "hello"
    client.run("network", "create", f"{node}/back")
    client.run("run", "--rm", "-v", "data:/x", "--network", "back", IMAGE, "true")
    other = next(e.name for e in three if e.name != node)
    client.run("volume", "create", f"{other}/data")
    assert "ambiguous" in client.fails("volume", "rm", "data")
    client.run("volume", "rm", full, f"{other}/data")
    assert listed(cluster) == []
