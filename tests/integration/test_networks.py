"""Networks as objects of the cluster: made on one node, named node/name, and containers follow."""

import contextlib
import io
import json
import tarfile
import threading
import urllib.parse

import pytest

from lab import http
from lab.engine import IMAGE
from lab.fake_engine import answer
from lab.fake_engine import container as container_entry
from lab.waiting import in_parallel, wait_until

PROJECT = "com.docker.compose.project"


@pytest.fixture
def cluster(manager, three):
    return manager(three)


def make(cluster, name, expect=201, headers=(), **body):
    body = {"Name": name, "Driver": "bridge", "CheckDuplicate": True, **body}
    reply = cluster.request("POST", "/networks/create", body, headers)
    assert reply.status == expect, reply
    return reply.json() if expect == 201 else reply.message()


def replies(status, body):
    def behaviour(connection, _):
        connection.sendall(answer(status, body))
        return True

    return behaviour


def listed(cluster, **filters):
    """Names of the list."""
    query = urllib.parse.quote(json.dumps(filters))
    return sorted(n["Name"] for n in cluster.json("GET", f"/networks?filters={query}"))


def custom(cluster):
    return listed(cluster, type=["custom"])


def on(engine):
    names = [n["Name"] for n in engine.json("GET", "/networks")]
    return sorted(n for n in names if n not in ("bridge", "host", "none"))


def node_of(cluster, name):
    (full,) = [n for n in custom(cluster) if n.endswith(f"/{name}")]
    return full.split("/")[0]


# ---- create, inspect, remove ----


def test_create_inspect_remove(cluster, three):
    made = make(cluster, "back", Labels={"a": "b"}, Options={"x": "y"})
    # Whatever comes next sees it.
    node = node_of(cluster, "back")
    assert [on(e) for e in three].count(["back"]) == 1
    for key in ("back", f"{node}/back", made["Id"], made["Id"][:12], made["Id"][:7]):
        found = cluster.json("GET", f"/networks/{key}")
        assert (found["Id"], found["Name"]) == (made["Id"], "back")
        assert (found["Labels"], found["Options"]) == ({"a": "b"}, {"x": "y"})
    assert cluster.request("DELETE", f"/networks/{node}/back").status == 204
    assert custom(cluster) == []
    gone = cluster.request("GET", "/networks/back")
    assert (gone.status, gone.message()) == (404, "network back not found")
    assert cluster.request("DELETE", "/networks/back").status == 404


def test_spread_over_the_nodes(cluster):
    for name in ("a", "b", "c", "d", "e", "f"):
        make(cluster, name)
    nodes = [name.split("/")[0] for name in custom(cluster)]
    assert {nodes.count(n) for n in nodes} == {2}


def test_node_by_name_and_by_header(cluster, three):
    make(cluster, "node-2/back")
    make(cluster, "front", headers={"X-Swarm-Node": "node-3"})
    assert custom(cluster) == ["node-2/back", "node-3/front"]
    assert on(three[1]) == ["back"]
    assert make(cluster, "nope/back", expect=404) == "No such node: nope"
    both = make(cluster, "node-1/x", expect=400, headers={"X-Swarm-Node": "node-2"})
    assert "node-1" in both and "node-2" in both


def test_terms_in_labels(cluster):
    labels = {"com.docker.swarm.constraints": '["zone==external", "disk==hdd"]'}
    make(cluster, "back", Labels=labels)
    assert custom(cluster) == ["node-3/back"]
    labels = {"com.docker.swarm.whitelists": '["node==node-1"]'}
    make(cluster, "front", Labels=labels)
    assert "node-1/front" in custom(cluster)
    labels = {"com.docker.swarm.constraints": '["zone==nowhere"]'}
    assert "[zone==nowhere]" in make(cluster, "x", expect=503, Labels=labels)
    labels = {"com.docker.swarm.constraints": "zone"}
    assert "com.docker.swarm.constraints" in make(cluster, "x", expect=400, Labels=labels)


def test_options_of_another_network(cluster):
    """--config-from names a network that only one engine knows."""
    make(cluster, "node-2/options", Driver="", ConfigOnly=True, Options={"parent": "eth0"})
    for i in range(3):
        config = {"Network": "options"}
        reply = cluster.request(
            "POST", "/networks/create", {"Name": f"net{i}", "ConfigFrom": config}
        )
        # That engine says whether it can; another one would not have found the options.
        assert "options" not in json.dumps(reply.json()), reply
        if reply.status == 201:
            assert node_of(cluster, f"net{i}") == "node-2"
            # The options cannot go before what uses them.
            assert cluster.request("DELETE", f"/networks/net{i}").status == 204


def test_a_name_is_taken_once(cluster):
    make(cluster, "back")
    node = node_of(cluster, "back")
    assert make(cluster, "back", expect=409) == "network with name back already exists"
    # By name of the node: only there it is taken.
    assert "already exists" in make(cluster, f"{node}/back", expect=409)
    other = "node-1" if node != "node-1" else "node-2"
    make(cluster, f"{other}/back")
    message = cluster.request("GET", "/networks/back")
    assert message.status == 400
    assert f"{node}/back" in message.message() and f"{other}/back" in message.message()
    assert cluster.request("DELETE", "/networks/back").status == 400
    pinned = {"X-Swarm-Node": other}
    assert cluster.request("GET", "/networks/back", headers=pinned).status == 200
    assert cluster.request("DELETE", "/networks/back", headers=pinned).status == 204
    assert cluster.request("DELETE", "/networks/back", headers=pinned).status == 404
    assert custom(cluster) == [f"{node}/back"]
    # The engine's own words for its own networks.
    assert "predefined" in make(cluster, "bridge", expect=403).replace("-", "")


def test_twenty_at_once(cluster, three):
    def one(_):
        return cluster.request("POST", "/networks/create", {"Name": "race", "Driver": "bridge"})

    statuses = sorted(r.status for r in in_parallel(one, range(20), 20))
    assert statuses == [201] + [409] * 19
    assert sum(len(on(e)) for e in three) == 1


def test_without_a_driver(cluster, three):
    """Plain engines have no store: a local network, and the reply says so."""
    for driver in ("", "default"):
        reply = make(cluster, f"d{driver}", Driver=driver)
        node = node_of(cluster, f"d{driver}")
        assert f"local to node {node}" in reply["Warning"]
        assert cluster.json("GET", f"/networks/d{driver}")["Driver"] == "bridge"
    assert make(cluster, "node-1/named", Driver="")["Warning"] == ""
    assert make(cluster, "bridged")["Warning"] == ""
    # What engines cannot do is refused in their words, and nothing stays promised.
    for _ in range(2):
        reply = cluster.request("POST", "/networks/create", {"Name": "w", "Driver": "overlay"})
        assert reply.status in (500, 503) and "swarm" in reply.message()


def test_overlay_where_an_engine_has_a_store(manager, three, fake):
    """Without a driver it is a global network then, made once, by the engine that can."""
    engine = fake(name="store")
    info = {"ClusterStore": "consul://x:1", "ID": "STORE", "Name": "store", "Labels": []}
    engine.on("GET", "^/info$", replies(200, info | {"NCPU": 1, "MemTotal": 1 << 30}))
    engine.on("POST", "^/networks/create$", replies(201, {"Id": "w" * 25, "Warning": "mind"}))
    cluster = manager([*three, engine])
    reply = cluster.request("POST", "/networks/create", {"Name": "wide", "Labels": {"a": "b"}})
    assert (reply.status, reply.json()) == (201, {"Id": "w" * 25, "Warning": "mind"})
    asked = engine.seen("POST", "/networks/create$")
    assert [json.loads(r.body) for r in asked] == [
        {"Name": "wide", "Labels": {"a": "b"}, "Driver": "overlay"}
    ]
    make(cluster, "wide2", Driver="overlay")
    assert len(engine.seen("POST", "/networks/create$")) == 2
    # A node that is named makes a network of its own.
    make(cluster, "node-1/back", Driver="")
    assert on(three[0]) == ["back"]


def test_bad_bodies(cluster):
    def refused(body):
        reply = cluster.request("POST", "/networks/create", body)
        return reply.status, reply.message()

    assert refused(b"{\"Name\":")[0] == 400
    status, message = refused(b"{\"Name\": \"x\",\n  oops}")
    assert status == 400 and "line 2" in message
    assert refused(b"[]") == (400, "the body must be a JSON object")
    assert refused(b'{"Name": 5}') == (400, "Name must be a string")
    assert refused(b'{"Name": "a", "name": "b"}')[0] == 400
    assert refused(b'{"Name": "a", "Labels": []}')[0] == 400
    assert refused(b'{"Name": "a", "Labels": {"x": 5}}')[0] == 400
    assert refused(b'{"Driver": "bridge"}')[0] == 400  # the engine's answer
    large = http.request(
        cluster.address, "POST", "/networks/create", None, {"Content-Length": "5000000"}
    )
    assert large.status == 413
    assert custom(cluster) == []


# ---- the list ----


def test_filters(cluster, three):
    make(cluster, "node-1/web", Labels={"tier": "front"})
    make(cluster, "node-2/web-2", Labels={"tier": "back"})
    web = cluster.json("GET", "/networks/node-1/web")["Id"]
    cluster.run("user", HostConfig={"NetworkMode": "web"})
    assert listed(cluster, name=["web"]) == ["node-1/web", "node-2/web-2"]
    assert listed(cluster, name=["^web$"]) == ["node-1/web"]
    assert listed(cluster, name=["node-2/web"]) == ["node-2/web-2"]
    assert listed(cluster, id=[web[:10]]) == ["node-1/web"]
    assert listed(cluster, label=["tier"]) == ["node-1/web", "node-2/web-2"]
    assert listed(cluster, label=["tier=back"]) == ["node-2/web-2"]
    assert listed(cluster, node=["node-1"], type=["builtin"]) == [
        "node-1/bridge",
        "node-1/host",
        "node-1/none",
    ]
    assert listed(cluster, driver=["host"], scope=["local"]) == [f"{e.name}/host" for e in three]
    assert listed(cluster, scope=["swarm"]) == []
    assert listed(cluster, dangling=["true"]) == ["node-2/web-2"]
    assert listed(cluster, dangling=["false"], node=["node-1"], driver=["bridge"]) == [
        "node-1/bridge",
        "node-1/web",
    ]
    assert len(listed(cluster, type=["builtin", "custom"])) == 11
    # Expressions that would take very long are refused, and a text that is none is compared.
    for huge in ("(x{1,500}){1,2}[a-z]*" * 40, "([a-z]{1,30}){1,30}"):
        query = urllib.parse.quote(json.dumps({"name": [f"{huge}{i}" for i in range(64)]}))
        reply = cluster.request("GET", f"/networks?filters={query}")
        assert reply.status == 400 and "name" in reply.message()
    assert listed(cluster, name=["web("]) == []
    for bad in ({"type": ["x"]}, {"dangling": ["x"]}, {"dangling": ["0", "1"]}, {"nosuch": ["x"]}):
        query = urllib.parse.quote(json.dumps(bad))
        reply = cluster.request("GET", f"/networks?filters={query}")
        assert reply.status == 400 and next(iter(bad)) in reply.message(), reply


# ---- connect and disconnect ----


def test_connect(cluster, three):
    make(cluster, "node-2/back")
    container = cluster.run("web", Env=["constraint:node==node-2"])
    other = cluster.run("other", Env=["constraint:node==node-1"])

    def join(action, network, name, **more):
        body = {"Container": name, **more}
        return cluster.request("POST", f"/networks/{network}/{action}", body)

    def networks():
        found = cluster.json("GET", f"/containers/{container}/json")
        return found["NetworkSettings"]["Networks"]

    for network, name in (
        ("back", "web"),
        ("node-2/back", "node-2/web"),
        ("back", container),
        ("back", container[:12]),
    ):
        config = {"Aliases": ["db"]}
        assert join("connect", network, name, EndpointConfig=config).status == 200
        assert "db" in networks()["back"]["Aliases"]
        # The list of containers knows it at once.
        assert list(cluster.ps("filters=%7B%22network%22:[%22back%22]%7D")) == ["node-2/web"]
        assert join("disconnect", network, name).status == 200
        assert list(networks()) == ["bridge"]
    # Every node has a bridge; the container's is meant.
    assert join("disconnect", "bridge", "web").status == 200
    assert join("connect", "bridge", "web").status == 200
    refused = join("connect", "back", "other")
    assert refused.status == 400
    assert "node-1" in refused.message() and "node-2" in refused.message()
    for action in ("connect", "disconnect"):
        assert join(action, "back", "nobody").status == 404
        assert join(action, "nothing", "web").status == 404
        assert join(action, "back", "").status == 400
        bad = cluster.request("POST", f"/networks/back/{action}", b"{")
        assert bad.status == 400
    # The engine's own answers: in the network already, or by force what is not there.
    join("connect", "back", "web")
    assert join("connect", "back", "web").status in (403, 409)
    assert join("disconnect", "back", "nobody", Force=True).status != 502
    assert other


def test_disconnect_by_force_from_a_node_that_is_down(manager, fake):
    """A network that spans nodes is known to the others: one of them takes the end point away."""
    wide = {"Id": "w" * 25, "Name": "wide", "Driver": "overlay", "Scope": "global"}
    local = {"Id": "1" * 64, "Name": "here", "Driver": "bridge", "Scope": "local"}
    first, second = fake(name="f1"), fake(name="f2")
    first.containers = [container_entry("c" * 64, "web")]
    first.on("GET", "^/networks$", replies(200, [wide, local]))
    second.on("GET", "^/networks$", replies(200, [wide]))
    second.on("POST", "/disconnect$", replies(200, {}))
    cluster = manager([first, second])
    first.close()
    wait_until(lambda: cluster.status_of(first.addr) != "Healthy", "the node to be down", 40)

    def disconnect(network, name, force):
        body = {"Container": name, "Force": force}
        return cluster.request("POST", f"/networks/{network}/disconnect", body)

    for network, force in (("wide", False), ("here", True), ("here", False)):
        reply = disconnect(network, "web", force)
        assert reply.status == 503 and "f1" in reply.message(), (network, force, reply)
    assert disconnect("wide", "web", True).status == 200
    assert disconnect("wide", "ghost", True).status == 200
    assert disconnect("wide", "ghost", False).status == 404
    asked = [json.loads(r.body) for r in second.seen("POST", "/networks/w{25}/disconnect$")]
    assert [a["Container"] for a in asked] == ["web", "ghost"]


def test_container_follows_its_networks(cluster):
    make(cluster, "node-3/back")
    make(cluster, "node-1/front")
    for name in ("aa", "bb", "cc"):
        container = cluster.create(name, HostConfig={"NetworkMode": "back"})
        assert cluster.node_of(container) == "node-3"
    by_id = cluster.json("GET", "/networks/front")["Id"]
    assert cluster.node_of(cluster.create(HostConfig={"NetworkMode": by_id})) == "node-1"
    endpoints = {"EndpointsConfig": {"front": {}}}
    container = cluster.create(
        HostConfig={"NetworkMode": "front"}, NetworkingConfig=endpoints
    )
    assert cluster.node_of(container) == "node-1"
    # Two that no node has both of.
    endpoints = {"EndpointsConfig": {"front": {}, "back": {}}}
    message = cluster.create(
        "none", 503, HostConfig={"NetworkMode": "front"}, NetworkingConfig=endpoints
    )
    assert "\n[--net=front --net=back]\n" in message
    # A name on two nodes: either will do, and node/name prefers.
    make(cluster, "node-2/back")
    where = {
        cluster.node_of(cluster.create(HostConfig={"NetworkMode": "back"})) for _ in range(4)
    }
    assert where <= {"node-2", "node-3"}
    container = cluster.create(HostConfig={"NetworkMode": "node-2/back"})
    assert cluster.node_of(container) == "node-2"
    # What no node has is the engine's to refuse, which it does at the start.
    container = cluster.create(HostConfig={"NetworkMode": "nothing"})
    refused = cluster.request("POST", f"/containers/{container}/start")
    assert refused.status == 404 and "nothing" in refused.message()


def test_node_goes_down(cluster, three):
    make(cluster, "node-2/back")
    make(cluster, "node-1/front")
    cluster.run("web", HostConfig={"NetworkMode": "back"})
    three[1].kill()
    cluster.wait_status(three[1].addr, "Disconnected")
    for method, path, body in (
        ("GET", "/networks/back", None),
        ("DELETE", "/networks/back", None),
        ("POST", "/networks/back/connect", {"Container": "web"}),
        ("POST", "/networks/back/disconnect", {"Container": "web"}),
        ("POST", "/networks/create", {"Name": "node-2/new", "Driver": "bridge"}),
    ):
        reply = cluster.request(method, path, body)
        assert reply.status == 503 and "node-2" in reply.message(), reply
    message = cluster.create(expect=503, HostConfig={"NetworkMode": "back"})
    assert "--net=back" in message and "node-2" in message
    # Its names are taken until it is back, as those of containers are.
    assert "already exists" in make(cluster, "back", expect=409)
    assert custom(cluster) == ["node-1/front"]
    make(cluster, "elsewhere")


def test_client_leaves(manager, fake):
    """The connection to the engine is closed. The engine may have made what it was asked for, so the
    name is not given again before it has told."""
    engine = fake()
    cluster = manager([engine])
    asked, gone = threading.Semaphore(0), threading.Semaphore(0)

    def never(connection, _):
        asked.release()
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        gone.release()
        return False

    engine.on("POST", "^/(networks|volumes)/create$", never)
    before = cluster.descriptors()
    clients = [cluster.connect() for _ in range(8)]
    for i, client in enumerate(clients):
        kind = "networks" if i % 2 else "volumes"
        client.send_request("POST", f"/{kind}/create", {"Name": f"back{i}"})
    assert all(asked.acquire(timeout=20) for _ in clients)
    for client in clients:
        client.stream.reset()
    assert all(gone.acquire(timeout=20) for _ in clients)
    wait_until(lambda: cluster.descriptors() <= before + 2, "descriptors to be closed")
    engine.on("POST", "^/networks/create$", replies(201, {"Id": "a" * 64, "Warning": ""}))
    assert cluster.request("POST", "/networks/create", {"Name": "back1"}).status == 409
    assert cluster.request("POST", "/networks/create", {"Name": "other"}).status == 201


def test_engine_breaks_off(manager, fake):
    """502 that names the node. Only the engine knows whether it made the network: until it tells, a
    second one of that name is refused."""
    engine = fake()
    cluster = manager([engine])
    engine.on("POST", "^/networks/create$", lambda connection, _: False)
    for name in ("back", "front"):
        reply = cluster.request("POST", "/networks/create", {"Name": name})
        assert reply.status == 502 and "fake" in reply.message()
        cluster.wait_healthy(1)
        assert cluster.request("POST", "/networks/create", {"Name": name}).status == 409


# ---- clients ----


def test_cli(cluster, docker):
    client = docker(cluster)
    made = client.run("network", "create", "--label", "a=b", "back")
    assert client.run("network", "ls", "-q", "--no-trunc", "--filter", "name=back") == made
    full = client.run("network", "ls", "--filter", "label=a", "--format", "{{.Name}}")
    node = full.split("/")[0]
    assert full == f"{node}/back"
    assert "already exists" in client.fails("network", "create", "back")
    inspected = json.loads(client.run("network", "inspect", full))[0]
    assert (inspected["Id"], inspected["Name"]) == (made, "back")
    client.run("run", "-d", "--name", "web", "--network", "back", IMAGE, "sleep", "1000")
    client.run("run", "-d", "--name", "db", "--network", full, IMAGE, "sleep", "1000")
    assert cluster.node_of("web") == cluster.node_of("db") == node
    assert "web" in client.run("exec", "db", "ping", "-c1", "-w5", "web")
    client.run("network", "create", f"{node}/more")
    client.run("network", "connect", "--alias", "www", "more", "web")
    client.run("network", "disconnect", "more", "web")
    assert "has active endpoints" in client.fails("network", "rm", "back")
    client.run("rm", "-f", "web", "db")
    client.run("network", "rm", "back", f"{node}/more")
    assert custom(cluster) == []


# ---- projects ----


def test_project_meets_on_one_node(cluster, three):
    """What Compose does, several times over: each project ends up whole."""
    nodes = set()
    for project in ("one", "two", "three"):
        labels = {PROJECT: project}
        make(cluster, f"{project}_default", Labels=labels)
        make(cluster, f"{project}_back", Labels=labels)
        volume = {"Name": f"{project}_data", "Labels": labels}
        assert cluster.request("POST", "/volumes/create", volume).status == 201
        for i in range(2 if project == "one" else 1):
            container = cluster.run(
                f"{project}_web_{i}",
                Labels=labels,
                HostConfig={
                    "NetworkMode": f"{project}_default",
                    "Binds": [f"{project}_data:/data:rw"],
                },
            )
            connected = cluster.request(
                "POST", f"/networks/{project}_back/connect", {"Container": container}
            )
            assert connected.status == 200, connected
        nodes.add(cluster.node_of(container))
        # Compose compares names: those of its own project are plain.
        assert listed(cluster, label=[f"{PROJECT}={project}"]) == sorted(
            [f"{project}_back", f"{project}_default"]
        )
    assert len(nodes) > 1, "projects are spread"


def test_project_by_what_is_there(cluster, three):
    """A volume first; an image that was built on one node; a container; and a node that is down."""
    labels = {PROJECT: "shop"}
    assert cluster.request("POST", "/volumes/create", {"Name": "node-2/shop_data"}).status == 201
    make(cluster, "shop_default", Labels=labels)
    assert "node-2/shop_default" in custom(cluster)
    three[2].request("POST", f"/images/{IMAGE}/tag?repo=blog-web&tag=latest")
    wait_until(
        lambda: any(
            "blog-web:latest" in (i["RepoTags"] or []) for i in cluster.json("GET", "/images/json")
        ),
        "the image to be known",
    )
    make(cluster, "blog_default", Labels={PROJECT: "blog"})
    assert "node-3/blog_default" in custom(cluster)
    # What is demanded comes before.
    hard = {PROJECT: "shop", "com.docker.swarm.constraints": '["node==node-1"]'}
    make(cluster, "shop_other", Labels=hard)
    assert "node-1/shop_other" in custom(cluster)


def test_project_at_once(cluster):
    """Compose may ask for several networks at the same time."""
    labels = {PROJECT: "shop"}
    in_parallel(lambda i: make(cluster, f"shop_n{i}", Labels=labels), range(6), 6)
    assert len({n.split("/")[0] for n in custom(cluster)}) == 1


def test_project_draws_its_builds(cluster, three):
    """By the labels of the image, and by the name that Compose gives it."""
    make(cluster, "node-2/shop_default", Labels={PROJECT: "shop"})
    make(cluster, "node-3/blog_default", Labels={PROJECT: "blog"})
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        text = f"FROM {IMAGE}\nLABEL made=here\n".encode()
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        tar.addfile(entry, io.BytesIO(text))
    labels = urllib.parse.quote(json.dumps({PROJECT: "blog"}))
    for query, node in (("t=shop_web", "node-2"), (f"t=other&labels={labels}", "node-3")):
        built = cluster.request(
            "POST",
            f"/build?{query}",
            context.getvalue(),
            {"Content-Type": "application/x-tar"},
            timeout=60,
        )
        assert built.status == 200 and b"Successfully built" in built.body, built
        name = query.split("&")[0][2:]
        found = [
            e.name
            for e in three
            if any(f"{name}:latest" in (i["RepoTags"] or []) for i in e.json("GET", "/images/json"))
        ]
        assert found == [node]
