"""Images as objects of the cluster: listed, named, shown, pushed and removed wherever they are."""

import json
import re
from urllib.parse import quote

import pytest

from lab.engine import IMAGE
from lab.fake_engine import answer
from lab.waiting import wait_until


@pytest.fixture
def cluster(manager, three):
    return manager(three)


@pytest.fixture
def cli(docker, cluster):
    return docker(cluster)


def tags_of(cluster):
    return sorted(t for i in cluster.json("GET", "/images/json") for t in i["RepoTags"])


def wait_known(cluster, tag, *engines):
    """Until the manager knows that these have it."""
    for engine in engines:
        name = engine.name
        wait_until(lambda: tag in listed(cluster, node=[name]), f"{tag} on {name} to be known")


def listed(cluster, version="", query="", **filters):
    target = f"{version}/images/json?{query}&filters=" + quote(json.dumps(filters))
    return sorted(t for i in cluster.json("GET", target) for t in i["RepoTags"] or [])


# ---- tag, remove ----


def test_tag_and_remove_everywhere(cli, cluster, three):
    assert cli.run("tag", IMAGE, "named/by-cli:1") == ""
    for engine in three:
        assert "named/by-cli:1" in engine.tags()
    # Known at once, by the reply.
    assert "named/by-cli:1" in tags_of(cluster)
    out = cli.run("rmi", "named/by-cli:1")
    assert out.splitlines() == ["Untagged: named/by-cli:1"]
    for engine in three:
        assert engine.tags() == [IMAGE]
    assert tags_of(cluster) == [IMAGE]


def test_tag_where_it_is(cluster, three):
    three[1].load("only:1", b"one")
    wait_known(cluster, "only:1", three[1])
    reply = cluster.request("POST", "/images/only:1/tag?repo=alias&tag=2")
    assert (reply.status, reply.body) == (201, b"")
    assert [e.name for e in three if "alias:2" in e.tags()] == ["node-2"]
    reply = cluster.request("POST", "/images/only:1/tag?repo=UPPER")
    assert reply.status in (400, 500), reply
    assert "node node-2: " in reply.message()
    assert "lowercase" in reply.message() or "invalid reference" in reply.message()
    reply = cluster.request("POST", "/images/nothing/tag?repo=alias")
    assert (reply.status, reply.message()) == (404, "No such image: nothing:latest")


def test_remove_says_each_thing_once(cluster, three):
    """The same image on two nodes, a layer and tags of its own."""
    for engine in three[:2]:
        image = engine.load("gone:1", b"gone")
    wait_known(cluster, "gone:1", *three[:2])
    done = cluster.json("DELETE", "/images/gone:1")
    assert done[0] == {"Untagged": "gone:1"}
    assert {"Deleted": image} in done
    assert len({json.dumps(d) for d in done}) == len(done)
    for engine in three:
        assert engine.tags() == [IMAGE]
    assert cluster.request("DELETE", "/images/gone:1").status == 404


@pytest.mark.parametrize("form", ["full", "digits", "prefix", "name"])
def test_remove_by_any_name(cluster, three, form):
    image = three[2].load("some/where:1", form.encode())
    digits = image.partition(":")[2]
    wait_known(cluster, "some/where:1", three[2])
    name = {
        **{"full": image, "digits": digits, "prefix": digits[:12]},
        **{"name": "docker.io/some/where:1"},
    }[form]
    done = cluster.json("DELETE", f"/images/{name}")
    assert {"Deleted": image} in done
    assert three[2].tags() == [IMAGE]


def test_remove_what_is_in_use(cli, cluster, three):
    """One node refuses; the others did it, and the user is told which did not."""
    for engine in three:
        engine.load("used:1", b"used")
    wait_known(cluster, "used:1", *three)
    cluster.create("user", Image="used:1", Env=["constraint:node==node-2"])
    reply = cluster.request("DELETE", "/images/used:1")
    assert reply.status == 409, reply
    assert re.match(r"node node-2: conflict: unable to ", reply.message()), reply
    assert [e.name for e in three if "used:1" in e.tags()] == ["node-2"]
    error = cli.fails("rmi", "used:1")
    assert "node-2" in error and "conflict" in error
    cluster.json("DELETE", "/images/used:1?force=1")
    assert "used:1" not in three[1].tags()


def test_remove_on_one_node(cluster, three):
    cluster.request("POST", f"/images/{IMAGE}/tag?repo=many&tag=1")
    cluster.json("DELETE", "/images/many:1?node=node-1")
    assert ["many:1" in e.tags() for e in three] == [False, True, True]
    reply = cluster.request("DELETE", "/images/many:1", headers={"X-Swarm-Node": "node-3"})
    assert reply.status == 200, reply
    assert ["many:1" in e.tags() for e in three] == [False, True, False]
    assert cluster.request("DELETE", "/images/many:1?node=node-1").status == 404
    assert cluster.request("DELETE", "/images/many:1?node=nobody").status == 404
    assert ["many:1" in e.tags() for e in three] == [False, True, False]


def test_parameters_reach_the_engines(fake, manager):
    one, two = fake("one", engine_id="A"), fake("two", engine_id="B")
    for engine in (one, two):
        engine.on("DELETE", "/images/", lambda c, r: c.sendall(answer(200, [])) or True)
    m = manager([one, two])
    query = "force=1&noprune=1&platforms=%7B%7D&later=x"
    assert m.json("DELETE", f"/images/{IMAGE}?{query}") == []
    for engine in (one, two):
        (seen,) = engine.seen("DELETE", "/images/")
        assert seen.target.endswith(f"/images/busybox%3Alatest?{query}")


def test_a_prefix_of_several(fake, manager):
    """No name, here as on an engine; the answer tells which there are."""
    one, two = fake("one", engine_id="A"), fake("two", engine_id="B")
    two.images[0] = {**two.images[0], "Id": "sha256:" + "0" * 63 + "1", "RepoTags": ["other:1"]}
    m = manager([one, two])
    for call in ("GET /0000/json", "GET /sha256:0000/history", "DELETE /0000"):
        method, path = call.split()
        reply = m.request(method, f"/images{path}")
        assert reply.status == 400 and "ambiguous reference: image ID " in reply.message(), reply
    assert not one.seen("DELETE", "") and not two.seen("DELETE", "")


# ---- one image ----


def test_inspect_and_history(cli, cluster, three):
    image = three[1].load("shown:1", b"shown")
    wait_known(cluster, "shown:1", three[1])
    for name in ("shown:1", image, image.partition(":")[2][:12]):
        assert cluster.json("GET", f"/images/{name}/json")["Id"] == image
        assert len(cluster.json("GET", f"/images/{name}/history")) == 1
    assert cli.run("image", "inspect", "--format", "{{.Id}}", "shown:1") == image
    assert "shown:1" in cli.run("history", "--no-trunc", "shown:1") or image
    error = cli.fails("image", "inspect", "shown")
    assert "No such image: shown" in error, "no tag is latest"
    reply = cluster.request("GET", "/images/shown/json")
    assert (reply.status, reply.message()) == (404, "No such image: shown:latest")
    assert cluster.request("GET", "/images/shown:1/json?node=node-2").status == 200
    assert cluster.request("GET", "/images/shown:1/json?node=node-1").status == 404


def test_inspect_from_the_next_when_one_breaks_off(fake, manager):
    """The node that is asked first drops the connection, half way through the reply too."""
    one, two = fake("one", engine_id="A"), fake("two", engine_id="B")

    def cut(c, request):
        c.sendall(answer(200, {"Id": "half"})[:-4])
        return False

    for engine in (one, two):
        engine.on("GET", "/images/[^/]*/(json|history)$", cut)
    m = manager([one, two])
    before = m.descriptors()
    for path in ("json", "history"):
        reply = m.request("GET", f"/images/{IMAGE}/{path}")
        assert reply.status == 502 and "node " in reply.message(), reply
    assert one.seen("GET", "/images/.*/history") and two.seen("GET", "/images/.*/history")
    two.behave()
    two.on("GET", "/images/[^/]*/json$", lambda c, r: c.sendall(answer(200, {"Id": "x"})) or True)
    assert m.json("GET", f"/images/{IMAGE}/json?platform=linux&manifests=1")["Id"] == "x"
    assert two.seen("GET", "/json")[-1].target.endswith("/json?platform=linux&manifests=1")
    wait_until(lambda: m.descriptors() <= before, "the connections to go")


def test_attestations_go_to_a_holder(fake, manager):
    engine = fake("one", api="1.50")
    engine.on("GET", "/attestations$", lambda c, r: c.sendall(answer(200, [])) or True)
    m = manager([engine])
    assert m.json("GET", f"/images/{IMAGE}/attestations?platform=x") == []
    (seen,) = engine.seen("GET", "/attestations")
    assert seen.target.endswith("/attestations?platform=x")


def test_on_a_node_that_is_down(manager, three, fake):
    lost = fake("lost")
    lost.images[0] = {**lost.images[0], "Id": "sha256:" + "a" * 64, "RepoTags": ["away:1"]}
    both = three[0].load("both:1", b"both")
    lost.images.append({**lost.images[0], "Id": both, "RepoTags": ["both:1"]})
    m = manager([three[0], lost])
    lost.close()
    m.wait_status(lost.addr, "Disconnected")
    for method, path in (
        ("GET", "/images/away:1/json"),
        ("DELETE", "/images/away:1"),
        ("POST", "/images/away:1/tag?repo=x"),
        ("POST", "/images/away/push?tag=1"),
    ):
        reply = m.request(method, path)
        assert reply.status == 503 and "unhealthy node lost" in reply.message(), (path, reply)
    # What can be done is, and the reply tells what could not.
    for method, path, status in (
        ("GET", "/images/both:1/json", 200),
        ("POST", "/images/both:1/tag?repo=more", 201),
        ("DELETE", "/images/both:1", 200),
    ):
        reply = m.request(method, path)
        assert reply.status == status, reply
        if method != "GET":
            assert "node lost: is Disconnected" in reply.header("Warning"), reply
    assert three[0].tags() == [IMAGE, "more:latest"]


# ---- push ----


def test_push(cli, cluster, three, registry):
    three[1].load(f"{registry.addr}/pushed:1", b"pushed")
    wait_known(cluster, f"{registry.addr}/pushed:1", three[1])
    out = cli.run("push", f"{registry.addr}/pushed:1")
    assert re.search(r"1: digest: sha256:[0-9a-f]{64}", out), out
    assert cluster.request("GET", f"/distribution/{registry.addr}/pushed:1/json").status == 200
    error = cli.fails("push", f"{registry.addr}/nothing:1")
    assert "An image does not exist locally with the tag: " in error


def test_push_from_the_next(fake, manager):
    """A holder that breaks off before it answered is no reason to fail; one that answered is."""
    one, two = fake("one", engine_id="A"), fake("two", engine_id="B")
    line = b'{"status":"pushed"}\r\n'
    for engine in (one, two):
        engine.on("POST", "/push$", lambda c, r: False)
    m = manager([one, two])
    reply = m.request("POST", "/images/busybox/push?tag=latest", {"a": 1})
    assert reply.status == 502, reply
    seen = one.seen("POST", "/push") + two.seen("POST", "/push")
    assert len(seen) == 2 and all(r.body == b'{"a": 1}' for r in seen)
    two.on("POST", "/push$", lambda c, r: c.sendall(answer(200, line)) or True)
    headers = {"X-Registry-Auth": "e30="}
    reply = m.request("POST", "/images/busybox/push?tag=latest", headers=headers)
    assert (reply.status, reply.body) == (200, line)
    assert two.seen("POST", "/push")[-1].header("X-Registry-Auth") == "e30="


# ---- registries ----


def test_any_node_asks_the_registry(fake, manager):
    engine = fake()
    engine.on("GET", "/images/search", lambda c, r: c.sendall(answer(200, [{"name": "x"}])) or True)
    engine.on("POST", "/auth", lambda c, r: c.sendall(answer(200, {"Status": "ok"})) or True)
    engine.on("GET", "/distribution/", lambda c, r: c.sendall(answer(200, {})) or True)
    m = manager([engine])
    auth = {"X-Registry-Auth": "c2VjcmV0"}
    reply = m.request("GET", "/images/search?term=x&limit=3", headers=auth)
    assert reply.json() == [{"name": "x"}]
    assert m.json("POST", "/auth", {"username": "u", "password": "c2VjcmV0"})["Status"] == "ok"
    assert m.request("GET", "/distribution/a/b:1/json", headers=auth).json() == {}
    (search,) = engine.seen("GET", "/images/search")
    (distribution,) = engine.seen("GET", "/distribution")
    assert search.target.endswith("/images/search?term=x&limit=3")
    assert distribution.target.endswith("/distribution/a%2Fb%3A1/json")
    assert search.header("X-Registry-Auth") == distribution.header("X-Registry-Auth") == "c2VjcmV0"
    for bad in ("..%2f..%2fcontainers%2fjson%3f", "a/../b", "a//b", "a%20b"):
        reply = m.request("GET", f"/distribution/{bad}/json")
        assert (reply.status, reply.message()) == (400, "invalid reference format")
    assert "c2VjcmV0" not in m.log()


def test_search_is_refused_in_the_engines_words(cli):
    error = cli.fails("search", "--limit", "1000", "x")
    assert "limit" in error.lower() or "Limit" in error


# ---- lists ----


def test_filters(cluster, three):
    three[0].load("first:1", b"f")
    three[2].load("second:1", b"s")
    wait_known(cluster, "first:1", three[0])
    wait_known(cluster, "second:1", three[2])
    assert listed(cluster, reference=["first"]) == ["first:1"]
    assert listed(cluster, reference=["first:*", "second:*"]) == ["first:1", "second:1"]
    assert listed(cluster, node=["node-3"]) == [IMAGE, "second:1"]
    assert listed(cluster, dangling=["true"]) == []
    assert listed(cluster, label=["none"]) == []
    assert listed(cluster, **{"label!": ["none"]}) == [IMAGE, "first:1", "second:1"]
    # All of them are of the first moment of 2020.
    for until, some in (
        *(("2019-12-31", False), ("2020-01-02", True), ("1577836800", False)),
        *(("1577836801.5", True), ("24h", True), ("2020-01-01T01:00:00+01:00", False)),
        *(("2020-01-01T01:00:01+01:00", True), ("80000h", False)),
    ):
        assert bool(listed(cluster, until=[until])) == some, until
    assert listed(cluster, before=["first:1"]) == listed(cluster, since=["first:1"]) == []
    for bad in ({"until": ["x"]}, {"before": ["nothing"]}, {"nonsense": ["x"]}):
        reply = cluster.request("GET", f"/images/json?filters={quote(json.dumps(bad))}")
        assert reply.status == 400, (bad, reply)


def test_lists_of_every_version(fake, manager):
    """An engine that gives neither VirtualSize nor placeholders, and clients that expect them."""
    engine = fake(api="1.50", min_api="1.44")
    del engine.images[0]["VirtualSize"]
    bare = {**engine.images[0], "Id": "sha256:" + "b" * 64, "RepoTags": [], "RepoDigests": []}
    engine.images.append(bare)
    one = json.dumps({"Id": "sha256:" + "0" * 64, "Size": 7}).encode()
    engine.on("GET", "/images/[^/]+/json$", lambda c, r: c.sendall(answer(200, one)) or True)
    m = manager([engine])
    for version, expected in (("v1.41", True), ("v1.43", True), ("v1.44", False), ("v1.50", False)):
        entries = {i["Id"]: i for i in m.json("GET", f"/{version}/images/json?all=1")}
        assert all(("VirtualSize" in i) == expected for i in entries.values()), version
        assert entries[bare["Id"]]["RepoTags"] == (
            ["<none>:<none>"] if version < "v1.43" else []
        ), version
        inspect = m.json("GET", f"/{version}/images/busybox/json")
        assert inspect.get("VirtualSize") == (7 if expected else None), version


def test_engines_of_two_versions(manager, mixed, one_docker):
    """What each gives in its own form is one list, one name and one removal."""
    for engine in mixed:
        engine.load("all:1", b"all")
    m = manager(mixed)
    for version in ("v1.24", "v1.41", "v1.44"):
        tags = listed(m, f"/{version}")
        assert tags.count("all:1") >= 1 and tags.count(IMAGE) >= 1, version
        inspect = m.json("GET", f"/{version}/images/all:1/json")
        assert inspect["RepoTags"] == ["all:1"]
    asked = m.json("GET", "/v1.44/images/json?shared-size=1")
    assert all(i["SharedSize"] >= -1 and "VirtualSize" not in i for i in asked)
    cli = one_docker(m)
    cli.run("tag", "all:1", "other:1")
    assert all({"all:1", "other:1"} <= set(e.tags()) for e in mixed)
    assert "Untagged: all:1" in cli.run("rmi", "all:1")
    cli.run("rmi", "other:1")
    assert all(e.tags() == [IMAGE] for e in mixed)


def test_what_engines_count_when_asked(fake, manager):
    """shared-size and manifests are asked of the engines; one that fails is named, and the rest
    told."""
    one, two, three = fake("one", "A", "1.50"), fake("two", "B", "1.50"), fake("three", "C", "1.50")

    def give(containers):
        entry = {**one.images[0], "SharedSize": 5, "Containers": containers, "Manifests": [{}]}
        return lambda c, r: c.sendall(answer(200, [entry, {"Id": None}, 3])) or True

    one.on("GET", "/images/json", give(2))
    two.on("GET", "/images/json", give(1))
    three.on("GET", "/images/json", give(1))
    m = manager([one, two, three])
    # Of what is known, also where two nodes tell the very same.
    assert [i["Containers"] for i in m.json("GET", "/images/json")] == [4]
    failing = answer(500, {"message": 'no "luck"'}, reason="Error")
    three.on("GET", "/images/json", lambda c, r: c.sendall(failing) or True)
    reply = m.request("GET", "/images/json?shared-size=1&manifests=true&digests=1")
    (entry,) = reply.json()
    assert (entry["SharedSize"], entry["Containers"], entry["Manifests"]) == (5, 3, [{}])
    assert "three" in reply.header("Warning") and "luck" in reply.header("Warning")
    assert one.seen("GET", "shared-size")[0].target.endswith("?all=1&shared-size=1&manifests=1")
