"""Calls that are about the whole cluster: disk usage, prunes, plugins, swarm mode, sizes."""

import json
import re
from urllib.parse import quote

import pytest

from lab.engine import IMAGE
from lab.fake_engine import answer, container
from lab.waiting import in_parallel, wait_until

# ---- Swarm mode ----

# Every method and path of swarm mode with what an engine checks before it says that it is in none.
SWARM_MODE = """
GET /swarm
POST /swarm/leave
POST /swarm/leave?force=1
POST /swarm/update
POST /swarm/update {}
POST /swarm/update?version=x {}
POST /swarm/update?version=1 {}
POST /swarm/update?version=1&rotateWorkerToken=x {}
POST /swarm/update?version=1&rotateManagerToken=x {}
POST /swarm/update?version=1&rotateManagerUnlockKey=x {}
GET /swarm/unlockkey
POST /swarm/unlock
POST /swarm/unlock {}
GET /nodes
GET /nodes/x
GET /nodes/x/y
DELETE /nodes/x
DELETE /nodes/x?force=1
POST /nodes/x/update
POST /nodes/x/update {}
POST /nodes/x/update?version=1 {}
GET /services
GET /services?status=true
GET /services?status=x
GET /services/x
DELETE /services/x
POST /services/create
POST /services/create {}
POST /services/x/update
POST /services/x/update {}
POST /services/x/update?version=-1 {}
POST /services/x/update?version=1 {}
GET /services/x/logs
GET /services/x/logs?stdout=1
GET /services/x/logs?stderr=1&follow=1
GET /tasks
GET /tasks/x
GET /tasks/x/logs
GET /tasks/x/logs?stdout=1
GET /secrets
GET /secrets/x
POST /secrets/create
POST /secrets/create {}
DELETE /secrets/x
POST /secrets/x/update
POST /secrets/x/update {}
POST /secrets/x/update?version=1 {}
GET /configs
GET /configs/x
POST /configs/create
POST /configs/create {}
DELETE /configs/x
POST /configs/x/update
POST /configs/x/update {}
POST /configs/x/update?version=1 {}
POST /swarm
GET /swarm/init
GET /swarm/x
DELETE /swarm
POST /nodes
POST /nodes/x
PUT /nodes/x
GET /services/create
POST /services
POST /services/x
DELETE /services
POST /tasks
DELETE /tasks/x
POST /secrets/x
PUT /configs/x
GET /v1.24/swarm
GET /v1.30/nodes
GET /v1.41/configs
""".strip().split("\n")


def said(reply):
    """What a client makes of it: status, content type, body."""
    return reply.status, reply.header("Content-Type"), reply.body.strip()


def test_swarm_mode_answers_as_an_engine_does(manager, three):
    m = manager(three)
    headers = [("Content-Type", "application/json")]
    for line in SWARM_MODE:
        method, target, *body = line.split(" ")
        body = body[0].encode() if body else None
        own = m.request(method, target, body, headers)
        theirs = three[0].request(method, target, body, headers)
        assert said(own) == said(theirs), line


def test_no_engine_enters_swarm_mode(manager, three, one_docker):
    m = manager(three)
    for target in ("/swarm/init", "/swarm/join"):
        for body in (None, {"ListenAddr": "0.0.0.0:2377", "RemoteAddrs": ["127.0.0.1:1"]}):
            reply = m.request("POST", target, body)
            assert reply.status == 503, reply
            assert "does not put engines into swarm mode" in reply.message()
    assert "swarm mode" in one_docker(m).fails("swarm", "init")
    for engine in three:
        assert engine.json("GET", "/info")["Swarm"]["LocalNodeState"] == "inactive"


def test_malformed_bodies_of_swarm_mode(manager, three):
    m = manager(three[:1])
    for body in (b"{", b"[]", b'{"a":1,"a":2}', b"nonsense"):
        for target in ("/services/create", "/swarm/update?version=1", "/swarm/unlock"):
            assert m.request("POST", target, body).status == 400, (target, body)


def test_clients_find_no_swarm(docker, manager, three):
    own, theirs = docker(manager(three)), docker(f"tcp://{three[0].addr}")
    assert "Swarm: inactive" in own.run("info")
    for command in (
        ("node", "ls"),
        ("service", "ls"),
        ("stack", "ls"),
        ("stack", "ps", "x"),
        ("secret", "ls"),
        ("config", "ls"),
        ("service", "logs", "x"),
        ("swarm", "leave"),
        ("swarm", "unlock-key"),
        ("node", "update", "--availability", "drain", "x"),
    ):
        assert own.run(*command, check=False) == theirs.run(*command, check=False), command


# ---- Disk usage ----


def test_disk_usage(manager, three):
    m = manager(three)
    for i in range(2):
        m.run(f"used-{i}", Env=[f"constraint:node==node-{i + 1}"])
    three[2].json("POST", "/volumes/create", {"Name": "full"})
    own = m.json("GET", "/system/df")
    theirs = [e.json("GET", "/system/df") for e in three]
    assert own["LayersSize"] == sum(df["LayersSize"] for df in theirs)
    # The image of all three, once, with the containers of all.
    assert len(own["Images"]) == 1
    assert own["Images"][0]["Containers"] == 2
    assert own["Images"][0]["Size"] == theirs[0]["Images"][0]["Size"]
    assert own["Images"][0]["RepoTags"] == [IMAGE]
    assert sorted(c["Names"][0] for c in own["Containers"]) == ["/node-1/used-0", "/node-2/used-1"]
    assert [v["Name"] for v in own["Volumes"]] == ["node-3/full"]
    assert own["Volumes"][0]["UsageData"] == {"RefCount": 0, "Size": 0}
    assert [n["Name"] for n in own["Nodes"]] == ["node-1", "node-2", "node-3"]
    assert [n["LayersSize"] for n in own["Nodes"]] == [df["LayersSize"] for df in theirs]
    assert [n["Containers"] for n in own["Nodes"]] == [1, 1, 0]
    # Of one node.
    for reply in (
        m.request("GET", "/system/df?node=node-2"),
        m.request("GET", "/system/df", headers=[("X-Swarm-Node", "node-2")]),
        m.request("GET", "/system/df?filters=" + quote('{"node":["node-2"]}')),
    ):
        assert reply.json()["LayersSize"] == theirs[1]["LayersSize"]
        assert [n["Name"] for n in reply.json()["Nodes"]] == ["node-2"]
    assert m.request("GET", "/system/df?node=nobody").status == 404


def test_disk_usage_for_clients(docker, manager, three):
    m = manager(three)
    m.run("shown")
    out = docker(m).run("system", "df")
    assert re.search(r"Images +1 +1 ", out), out
    assert re.search(r"Containers +1 +1 ", out), out
    out = docker(m).run("system", "df", "-v")
    assert "shown" in out


def test_disk_usage_without_a_node(fake, manager):
    good, bad, silly = fake("good"), fake("bad"), fake("silly")
    usage = {
        **{"LayersSize": 100, "Images": good.images, "Containers": [], "Volumes": None},
        **{"BuildCache": [{"ID": "c", "Size": 7, "Shared": False}]},
    }
    good.on("GET", "^/system/df$", lambda c, r: c.sendall(answer(200, usage)) or True)
    message = {"message": "a disk usage operation is already running"}
    bad.on("GET", "^/system/df$", lambda c, r: c.sendall(answer(409, message)) or True)
    silly.on("GET", "^/system/df$", lambda c, r: c.sendall(answer(200, b"[1,")) or True)
    m = manager([good, bad, silly])
    reply = m.request("GET", "/v1.41/system/df?type=image")
    assert reply.status == 200
    df = reply.json()
    assert df["LayersSize"] == 100
    # Old clients print the size of the build cache from this.
    assert df["BuilderSize"] == 7
    assert "BuilderSize" not in m.json("GET", "/v1.42/system/df")
    assert {n["Name"]: "Error" in n for n in df["Nodes"]} == {
        **{"good": False, "bad": True, "silly": True}
    }
    warnings = [v for k, v in reply.headers if k.lower() == "warning"]
    assert len(warnings) == 2, reply.headers
    assert any("node bad: a disk usage operation is already running" in w for w in warnings)
    assert any("node silly: " in w for w in warnings)
    assert good.seen("GET", "/system/df[?]type=image$")
    # All that are asked fail: so does the call.
    reply = m.request("GET", "/system/df?node=bad")
    assert (reply.status, reply.message()) == (409, message["message"])


def test_disk_usage_of_newer_engines(fake, manager):
    """Sections of API 1.52, summed; their items named as in the lists."""
    engines = [fake(f"n{i}", api="1.52", min_api="1.44") for i in range(2)]
    section = {"ActiveCount": 1, "TotalCount": 2, "Reclaimable": 10, "TotalSize": 30}
    volume = {"Name": "v", "Scope": "local", "UsageData": {"RefCount": 1, "Size": 5}}
    usage = {
        "ImageUsage": {**section, "Items": engines[0].images},
        "VolumeUsage": {**section, "Items": [volume]},
        "ContainerUsage": {**section, "Items": [{"Id": "a", "Names": ["/x"]}]},
        "BuildCacheUsage": section,
    }
    for engine in engines:
        engine.on("GET", "^/system/df$", lambda c, r: c.sendall(answer(200, usage)) or True)
    df = manager(engines).json("GET", "/system/df")
    assert df["BuildCacheUsage"] == {k: 2 * v for k, v in section.items()}
    assert df["ImageUsage"]["TotalSize"] == 60
    assert len(df["ImageUsage"]["Items"]) == 1
    assert [v["Name"] for v in df["VolumeUsage"]["Items"]] == ["n0/v", "n1/v"]
    assert [c["Names"] for c in df["ContainerUsage"]["Items"]] == [["/n0/x"], ["/n1/x"]]


# ---- Prunes ----


def test_prune_containers(manager, three):
    m = manager(three)
    ids = {}
    for i, engine in enumerate(three):
        for j in range(3):
            name = f"p{i}{j}"
            ids[name] = m.create(
                name, Env=[f"constraint:node=={engine.name}"], Labels={"j": str(j)}
            )
    m.run("running")
    before = m.json("POST", "/containers/prune?filters=" + quote('{"label":["j=0"]}'))
    assert sorted(before["ContainersDeleted"]) == sorted(ids[f"p{i}0"] for i in range(3))
    # What the reply tells is what a list shows.
    assert len(m.ps()) == 7
    filters = quote(json.dumps({"node": ["node-2"], "label": {"j": True}}))
    pruned = m.json("POST", f"/containers/prune?filters={filters}")
    assert sorted(pruned["ContainersDeleted"]) == sorted([ids["p11"], ids["p12"]])
    assert len(m.ps()) == 5
    pruned = m.json("POST", "/containers/prune")
    assert len(pruned["ContainersDeleted"]) == 4
    assert [name.split("/")[1] for name in m.ps()] == ["running"]
    reply = m.request("POST", "/containers/prune?filters=" + quote('{"foo":["x"]}'))
    assert reply.status == 400
    assert "nvalid filter 'foo'" in reply.message()
    # A name is free again at once.
    m.create("p00")


def networks_named(m, name):
    return [n for n in m.json("GET", "/networks") if name in n["Name"]]


def tags_of(m):
    return [t for i in m.json("GET", "/images/json") for t in i["RepoTags"]]


def test_prune_the_rest(manager, three):
    m = manager(three)
    for engine in three[:2]:
        engine.json("POST", "/volumes/create", {"Name": "unused", "Labels": {"a": "b"}})
        engine.json("POST", "/networks/create", {"Name": "lonely"})
        made = engine.json("POST", "/containers/create", {"Image": IMAGE, "Labels": {"keep": "1"}})
        engine.json("POST", f"/commit?container={made['Id']}&repo=other&tag=x&changes=LABEL+me=1")
    wait_until(lambda: len(m.json("GET", "/volumes")["Volumes"]) == 2, "the volumes")
    assert m.json("GET", "/volumes/node-1/unused")["Labels"] == {"a": "b"}
    wait_until(lambda: len(networks_named(m, "lonely")) == 2, "the networks")
    assert m.json("GET", "/networks/node-2/lonely")["Driver"] == "bridge"
    volumes = m.json("POST", "/volumes/prune?filters=" + quote('{"label":["a=b"]}'))
    assert sorted(volumes["VolumesDeleted"]) == ["node-1/unused", "node-2/unused"]
    assert volumes["SpaceReclaimed"] == 0
    assert m.json("GET", "/volumes")["Volumes"] == []
    networks = m.json("POST", "/networks/prune")
    assert sorted(networks["NetworksDeleted"]) == ["node-1/lonely", "node-2/lonely"]
    assert networks_named(m, "lonely") == []
    wait_until(lambda: "other:x" in tags_of(m), "the images")
    images = m.json("POST", "/images/prune?filters=" + quote('{"dangling":["0"],"label":["me=1"]}'))
    untagged = [d["Untagged"] for d in images["ImagesDeleted"] if "Untagged" in d]
    assert untagged == ["other:x"]
    deleted = [d["Deleted"] for d in images["ImagesDeleted"] if "Deleted" in d]
    assert len(deleted) == len(set(deleted)) >= 2
    assert images["SpaceReclaimed"] >= 0
    assert tags_of(m) == [IMAGE]


def test_prune_for_clients(docker, manager, three):
    m = manager(three)
    cli = docker(m)
    container_id = m.create("gone")
    out = cli.run("container", "prune", "-f")
    assert container_id in out
    assert "Total reclaimed space" in out
    assert "Total reclaimed space: 0B" in cli.run("volume", "prune", "-f")
    cli.run("network", "prune", "-f")
    cli.run("image", "prune", "-f")


def test_prune_that_fails(fake, manager):
    good, busy = fake("good"), fake("busy")
    done = {"ContainersDeleted": ["a" * 64], "SpaceReclaimed": 5}
    good.on("POST", "^/containers/prune$", lambda c, r: c.sendall(answer(200, done)) or True)
    message = {"message": "a prune operation is already running"}
    busy.on("POST", "^/containers/prune$", lambda c, r: c.sendall(answer(409, message)) or True)
    m = manager([good, busy])
    reply = m.request("POST", "/containers/prune")
    assert (reply.status, reply.json()) == (200, done)
    assert "node busy: a prune operation is already running" in reply.header("Warning")
    reply = m.request("POST", "/containers/prune?node=busy")
    assert (reply.status, reply.message()) == (409, message["message"])


def test_prune_cut_off(fake, manager):
    """The client goes, then a node: nothing stays behind, and the rest is told."""
    slow, other = fake("slow"), fake("other")
    slow.on("POST", "^/volumes/prune$", lambda c, r: c.recv(1) and False)
    done = {"VolumesDeleted": ["v"], "SpaceReclaimed": 1}
    other.on("POST", "^/volumes/prune$", lambda c, r: c.sendall(answer(200, done)) or True)
    m = manager([slow, other])
    wait_until(lambda: m.json("GET", "/info")["SwarmNodes"], "the nodes")
    before = m.descriptors()
    for _ in range(10):
        with m.connect() as c:
            count = len(slow.seen("POST", "/volumes/prune"))
            c.send_request("POST", "/volumes/prune")
            wait_until(lambda: len(slow.seen("POST", "/volumes/prune")) > count, "the call")
    wait_until(lambda: m.descriptors() <= before + 4, "the descriptors to be given back")
    with m.connect(timeout=60) as c:
        count = len(slow.seen("POST", "/volumes/prune"))
        c.send_request("POST", "/volumes/prune")
        wait_until(lambda: len(slow.seen("POST", "/volumes/prune")) > count, "the call")
        slow.close()
        reply = c.read_reply("POST")
    assert reply.status == 200
    assert reply.json()["VolumesDeleted"] == ["other/v"]
    assert "node slow: " in reply.header("Warning")


# ---- Plugins ----


def plugins_of(engine, *names):
    """Gives a fake engine plugins; what is asked of one is kept in engine.requests."""
    listed = [{"Id": f"id-{n}", "Name": f"{n}:latest", "Enabled": True} for n in names]

    def one(c, r):
        c.sendall(answer(200, {"asked": r.target, "body": r.body.decode()}))
        return True

    engine.on("DELETE", "^/plugins/", one)
    engine.on("POST", "^/plugins/", one)
    engine.on("GET", "^/plugins/", one)
    engine.on("GET", "^/plugins$", lambda c, r: c.sendall(answer(200, listed)) or True)


def test_plugins(fake, manager):
    engines = [fake("n1"), fake("n2")]
    plugins_of(engines[0], "vieux/sshfs")
    plugins_of(engines[1], "vieux/sshfs", "log")
    m = manager(engines)
    names = [p["Name"] for p in m.json("GET", "/plugins")]
    assert names == ["n1/vieux/sshfs:latest", "n2/vieux/sshfs:latest", "n2/log:latest"]
    filters = quote('{"node":["n2"],"enabled":["true"]}')
    names = [p["Name"] for p in m.json("GET", f"/plugins?filters={filters}")]
    assert names == ["n2/vieux/sshfs:latest", "n2/log:latest"]
    asked = engines[1].seen("GET", "/plugins[?]filters=")
    assert quote('{"enabled":{"true":true}}', safe="") in asked[-1].target

    def target(method, path, body=None, headers=()):
        reply = m.request(method, path, body, headers)
        assert reply.status == 200, reply
        return re.sub("^/v[0-9.]+", "", reply.json()["asked"])

    sshfs = "/plugins/vieux%2Fsshfs%3Alatest"
    assert target("GET", "/plugins/n2/vieux/sshfs:latest/json") == f"{sshfs}/json"
    assert target("POST", "/plugins/n1/vieux/sshfs:latest/enable?timeout=3") == (
        f"{sshfs}/enable?timeout=3"
    )
    here = [("X-Swarm-Node", "n1")]
    assert target("POST", "/plugins/log/disable", headers=here) == "/plugins/log/disable"
    assert target("DELETE", "/plugins/n1/log?force=1&node=n1") == "/plugins/log?force=1"
    assert target("POST", "/plugins/pull?remote=a&name=n1/b", b"[]") == (
        "/plugins/pull?remote=a&name=b"
    )
    assert target("POST", "/plugins/pull?remote=a&node=n2", b"[]") == "/plugins/pull?remote=a"
    assert target("POST", "/plugins/create?name=n2/x/y", b"tar") == "/plugins/create?name=x%2Fy"
    assert target("GET", "/plugins/privileges?remote=a") == "/plugins/privileges?remote=a"
    for action in ("enable", "disable", "upgrade", "push", "set"):
        path = f"/plugins/n1/log/{action}"
        assert target("POST", path, b"[]") == f"/plugins/log/{action}"
    for method, path in (
        ("POST", "/plugins/vieux/sshfs/enable"),
        ("GET", "/plugins/log/json"),
        ("POST", "/plugins/pull?remote=a"),
        ("DELETE", "/plugins/log"),
    ):
        reply = m.request(method, path)
        assert reply.status == 400, (path, reply)
        assert "X-Swarm-Node" in reply.message()
    assert m.request("DELETE", "/plugins/log?node=n3").status == 404


def test_plugins_of_one_node(docker, manager, three):
    """With one node there is nothing to be named; the answers are the engine's."""
    m = manager(three[:1])
    assert docker(m).run("plugin", "ls") == docker(f"tcp://{three[0].addr}").run("plugin", "ls")
    for method, path in (("GET", "/plugins/x/json"), ("DELETE", "/plugins/x")):
        assert said(m.request(method, path)) == said(three[0].request(method, path))


def test_plugins_for_clients(docker, manager, three, tmp_path):
    """A real plugin, from its making to its end, on the node that its name begins with."""
    m = manager(three)
    cli = docker(m)
    (tmp_path / "rootfs").mkdir()
    config = {
        **{"description": "nothing", "entrypoint": ["/none"], "linux": {"capabilities": []}},
        **{"interface": {"types": ["docker.logdriver/1.0"], "socket": "n.sock"}},
        "env": [{"name": "LEVEL", "settable": ["value"], "value": "1"}],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    try:
        cli.run("plugin", "create", "node-2/own", str(tmp_path))
        assert [e.name for e in three if e.json("GET", "/plugins")] == ["node-2"]
        rows = cli.run("plugin", "ls", "--format", "{{.Name}} {{.Enabled}}")
        assert rows == "node-2/own:latest false"
        cli.run("plugin", "set", "node-2/own:latest", "LEVEL=5")
        assert "LEVEL=5" in cli.run("plugin", "inspect", "node-2/own:latest")
        assert "name the node" in cli.fails("plugin", "disable", "own:latest")
        assert cli.run("plugin", "rm", "node-2/own:latest")
        assert cli.run("plugin", "ls", "-q") == ""
    finally:
        for engine in three:
            engine.request("DELETE", "/plugins/own:latest?force=1")


def test_plugin_upload_is_streamed(fake, manager):
    engines = [fake("n1"), fake("n2")]
    plugins_of(engines[1])
    m = manager(engines)
    body = b"x" * (3 << 20)
    reply = m.request("POST", "/plugins/create?name=n2/big", body)
    assert len(reply.json()["body"]) == len(body)


# ---- Lists ----


def test_sizes(manager, three):
    m = manager(three)
    for engine in three[:2]:
        m.run(f"s-{engine.name}", Env=[f"constraint:node=={engine.name}"])
        done = engine.json("POST", f"/containers/s-{engine.name}/exec", {"Cmd": ["dd", "if=/dev/zero", "of=/f", "bs=1k", "count=50"]})
        engine.json("POST", f"/exec/{done['Id']}/start", {"Detach": False})
    m.create("idle", Env=["constraint:node==node-3"])
    own = {c["Id"]: c for c in m.json("GET", "/containers/json?all=1&size=1")}
    theirs = {}
    for engine in three:
        theirs.update({c["Id"]: c for c in engine.json("GET", "/containers/json?all=1&size=1")})
    assert len(own) == 3
    for key, entry in theirs.items():
        assert own[key].get("SizeRw") == entry.get("SizeRw")
        assert own[key].get("SizeRootFs") == entry.get("SizeRootFs")
    assert all(c["SizeRootFs"] > 0 for c in own.values())
    assert "SizeRw" not in m.json("GET", "/containers/json?all=1")[0]
    assert len(m.json("GET", "/containers/json?size=1&limit=1")) == 1
    assert len(m.json("GET", "/containers/json?size=1")) == 2


def test_sizes_from_those_that_can_tell(fake, manager):
    good, bad = fake("good"), fake("bad")
    good.containers = [container("a" * 64, "one")]
    bad.containers = [container("b" * 64, "two")]
    m = manager([good, bad])
    sized = [{**good.containers[0], "SizeRw": 3, "SizeRootFs": 1000}]

    def with_size(c, r):
        assert quote('{"id":{"' + "a" * 64 + '":true}}', safe="") in r.target
        c.sendall(answer(200, sized))
        return True

    good.on("GET", "^/containers/json$", with_size)
    broken = answer(500, {"message": "no space to count in"})
    bad.on("GET", "^/containers/json$", lambda c, r: c.sendall(broken) or True)
    reply = m.request("GET", "/containers/json?size=1")
    rows = {c["Id"][0]: c for c in reply.json()}
    assert (rows["a"]["SizeRw"], rows["a"]["SizeRootFs"]) == (3, 1000)
    assert "SizeRootFs" not in rows["b"]
    assert "node bad: no space to count in" in reply.header("Warning")


def test_list_tells_who_does_not_answer(fake, manager):
    up, down = fake("up"), fake("down")
    down.containers = [container("d" * 64, "lost")]
    m = manager([up, down])
    assert m.request("GET", "/containers/json").header("Warning") is None
    down.close()
    wait_until(lambda: m.status_of(down.addr) != "Healthy", "the node to be down", 40)
    reply = m.request("GET", "/containers/json?all=1")
    assert [c["Status"] for c in reply.json()] == ["Host Down"]
    assert f"down ({down.addr})" in reply.header("Warning")
    assert m.json("GET", "/containers/json") == []


def test_list_filters_as_an_engine(manager, three):
    """Every filter, answer by answer."""
    engine = three[0]
    m = manager([engine])
    health = {"Test": ["CMD", "true"], "Interval": 10**9, "Retries": 1}
    network = engine.json("POST", "/networks/create", {"Name": "net"})["Id"]
    made = engine.json("POST", f"/containers/create?name=base", {"Image": IMAGE, "Cmd": ["true"]})
    engine.json("POST", f"/commit?container={made['Id']}&repo=child&tag=x")
    image = engine.json("GET", f"/images/{IMAGE}/json")["Id"]
    config = {"Image": IMAGE, "Cmd": ["sleep", "1000"]}
    for name, more in (
        ("one", {"Labels": {"a": "1", "b": ""}}),
        ("two", {"Labels": {"a": "2"}, "Image": "child:x", "Healthcheck": health}),
        ("web", {"ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}),
        ("vol", {"HostConfig": {"Binds": ["data:/data", "/etc:/host:ro"]}}),
        ("net", {"HostConfig": {"NetworkMode": "net"}}),
        ("end", {"Cmd": ["sh", "-c", "exit 3"]}),
        ("bad", {"Healthcheck": {**health, "Test": ["CMD", "false"]}}),
        ("sleepy", {}),
    ):
        m.run(name, **{**config, **more})
    m.request("POST", "/containers/sleepy/pause")
    ids = {name: m.json("GET", f"/containers/{name}/json")["Id"] for name in ("one", "two", "web")}

    def settled():
        states = {c["Names"][0]: c for c in engine.containers()}
        return (
            states["/end"]["State"] == "exited"
            and "(healthy)" in states["/two"]["Status"]
            and "(unhealthy)" in states["/bad"]["Status"]
        )

    wait_until(settled, "the states")

    def rows(thing, query):
        reply = thing.request("GET", f"/containers/json?{query}")
        if reply.status != 200:
            # What is not understood is the client's error; an engine says 500 to some of it.
            assert reply.status in (400, 404, 500), reply
            return "refused"
        return [c["Id"] for c in reply.json()]

    for key, values in {
        "id": [ids["one"], ids["one"][:12], ids["two"][:4], ids["one"][2:9], "x"],
        "name": ["one", "^/one$", "o", "n", "we?b", "nobody", "/web"],
        "label": ["a", "a=1", "a=", "b=", "c", "b"],
        "exited": ["0", "3", "137", "x"],
        "status": ["created", "running", "paused", "exited", "dead", "removing", "restarting", "x"],
        "ancestor": [IMAGE, "busybox", image, image[7:19], "child:x", "child", "nobody"],
        "before": ["web", "one", ids["two"], "nobody"],
        "since": ["web", "one", ids["two"], "nobody"],
        "volume": ["data", "/data", "/host", "/etc", "dat"],
        "network": ["net", "bridge", network, network[:12], network[:5], "n"],
        "publish": ["80", "80/tcp", "8080", "8080/tcp", "53/udp", "70-90", "8000-9000/tcp", "x"],
        "expose": ["80", "80/tcp", "53/udp", "53", "50-90/udp", "8080", "x"],
        "health": ["none", "starting", "healthy", "unhealthy", "x"],
        "isolation": ["default", "process", "x"],
        "is-task": ["true", "false", "x"],
        "foo": ["x"],
    }.items():
        for value in values:
            for everything in ("0", "1"):
                query = f"all={everything}&filters=" + quote(json.dumps({key: [value]}))
                assert rows(m, query) == rows(engine, query), (key, value, everything)
    for filters in (
        {"label": ["a", "b"]},
        {"name": ["one", "two"], "label": ["a=2"]},
        {"status": ["running", "exited"]},
        {"health": ["healthy", "unhealthy"]},
        {"exited": ["0", "3"], "name": ["end"]},
        {"name": {"one": True}},
        None,
    ):
        query = "filters=" + quote(json.dumps(filters))
        assert rows(m, query) == rows(engine, query), filters
    for query in (
        *("limit=2", "limit=0", "limit=-1", "limit=2&all=1", "limit=100", "all=true", "all=x"),
    ):
        assert rows(m, query) == rows(engine, query), query


def test_engines_that_tell_too_much(fake, manager):
    """Each within its own limit, and together more than a reply may begin with."""
    engines = [fake(f"n{i}") for i in range(20)]
    for engine in engines:
        info = {
            **{"ID": engine.engine_id, "Name": engine.name, "NCPU": 2, "MemTotal": 2 << 30},
            **{"ServerVersion": "20.10.24", "OSType": "linux", "Warnings": ["x" * 900_000]},
        }
        engine.on("GET", "^/info$", lambda c, r, info=info: c.sendall(answer(200, info)) or True)
    m = manager(engines, nodes=0)
    reply = wait_until(
        lambda: (lambda r: r if r.status != 200 else None)(m.request("GET", "/info")),
        "the manager to have heard all of it",
    )
    assert (reply.status, "longer than 16 MiB together" in reply.message()) == (500, True)
    assert m.request("GET", "/_ping").status == 200
    assert m.json("GET", "/containers/json") == []
