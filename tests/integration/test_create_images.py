"""Containers and their images: placed where the image is, or the image is brought to them."""

import io
import json
import os
import re
import tarfile
import threading
import time

import pytest

from lab import http
from lab.engine import IMAGE, image_archive
from lab.fake_engine import answer
from lab.registry import PASSWORD
from lab.waiting import in_parallel, wait_until


@pytest.fixture
def cluster(manager, three):
    return manager(three)


def on_node(name):
    return {"Env": [f"constraint:node=={name}"]}


def holders(engines, tag):
    return [e.name for e in engines if tag in e.tags()]


def wait_known(cluster, tag):
    wait_until(lambda: cluster.request("GET", f"/images/{tag}/json").status == 200, f"{tag}")


def forget(cluster, reference):
    """Gone from every node, and the manager knows it."""
    reply = cluster.request("DELETE", f"/images/{reference}?force=1")
    assert reply.status in (200, 404), reply


def create_many(m, count, **config):
    """So many containers at once; the names of those that were made, all of them."""

    def create(i):
        target = f"/containers/create?name=many-{i}"
        reply = m.request("POST", target, {"Cmd": ["true"], **config}, timeout=120)
        assert reply.status == 201, reply
        return f"many-{i}"

    return sorted(in_parallel(create, range(count)))


# ---- where the image is ----


def test_containers_go_where_the_image_is(one_docker, cluster, three):
    three[1].load("solo:latest", b"solo")
    wait_known(cluster, "solo")
    cli = one_docker(cluster)
    names = [f"s{i}" for i in range(20)]
    in_parallel(lambda n: cli.run("run", "-d", "--name", n, "solo", "sleep", "1000"), names, 5)
    assert three[1].names() == sorted(names)
    assert holders(three, "solo:latest") == ["node-2"]
    # The preference is not kept with the container.
    labels = three[1].json("GET", "/containers/s0/json")["Config"]["Labels"]
    assert not [key for key in labels if "affinit" in key or "constraint" in key]


def test_image_is_copied_where_it_is_needed(one_docker, cluster, three):
    image = three[1].load("wanted:1", b"x" * 3_000_000)
    wait_known(cluster, "wanted:1")
    before = cluster.descriptors()
    cli = one_docker(cluster)
    out = cli.run(
        *("run", "--rm", "-e", "constraint:node==node-3", "wanted:1"), *("wc", "-c", "/data/extra")
    )
    assert out.split()[0] == "3000000"
    assert holders(three, "wanted:1") == ["node-2", "node-3"]
    assert three[2].json("GET", "/images/wanted:1/json")["Id"] == image
    # By its ID too; the copy then has no name.
    node = cluster.node_of(cluster.create(Image=image[7:19], **on_node("node-1")))
    assert node == "node-1" and holders(three, "wanted:1") == ["node-2", "node-3"]
    wait_until(lambda: cluster.descriptors() <= before + 4, "the connections to go")


@pytest.mark.parametrize("there, here", [(0, 2), (2, 0)], ids=["to-newer", "to-older"])
def test_copy_between_versions(manager, mixed, there, here):
    """What an engine saves, one of another version loads: same name, and it runs."""
    mixed[there].load("crossing:1", b"over")
    m = manager(mixed)
    target = mixed[here]
    body = {"Cmd": ["cat", "/data/extra"], **on_node(target.name)}
    container = m.create(Image="crossing:1", **body)
    assert m.node_of(container) == target.name
    assert holders(mixed, "crossing:1") == sorted([mixed[there].name, target.name])
    assert m.request("POST", f"/containers/{container}/start").status == 204
    assert m.json("POST", f"/containers/{container}/wait")["StatusCode"] == 0
    logs = m.request("GET", f"/containers/{container}/logs?stdout=1").body
    assert http.stdout_of(logs) == b"over"


def test_copies_are_shared(cluster, three):
    """Many containers that need one copy: the image is saved once."""
    three[0].load("shared:1", b"s" * 1_000_000)
    wait_known(cluster, "shared:1")
    made = create_many(cluster, 20, Image="shared:1", **on_node("node-2"))
    assert three[1].names() == made
    assert cluster.log().count("image fetched for a container: image=shared:1 node=node-2") == 1


def source_of(fake, name, tag, behaviour, image="sha256:" + "d" * 64):
    """A fake engine that has an image which no other has, and gives it in its own way."""
    engine = fake(name)
    engine.images.append({**engine.images[0], "Id": image, "RepoTags": [tag]})
    engine.on("GET", "/images/.*/get$", behaviour)
    return engine


def id_of(archive):
    """What an engine calls the image in it."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        config = json.load(tar.extractfile("manifest.json"))[0]["Config"]
    return "sha256:" + config.removesuffix(".json")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_source_dies_on_the_way(manager, fake, three, archive):
    def half(c, request):
        c.sendall(HEAD + chunk(archive[: len(archive) // 2]))
        return False

    source = source_of(fake, "source", "broken:1", half)
    m = manager([three[0], source])
    before = m.descriptors()
    for _ in range(3):
        message = m.create("half", expect=502, Image="broken:1", **on_node("node-1"))
        assert "source" in message, message
    assert three[0].tags() == [IMAGE]
    assert not three[0].json("GET", "/images/json?all=1&filters=" + '{"dangling":["true"]}')
    # The name is free again, and nothing is left behind.
    m.create("half", **on_node("node-1"))
    wait_until(lambda: m.descriptors() <= before, "the connections to go")


REFUSAL = answer(500, {"message": "disk on fire"}, reason="Error")


@pytest.mark.parametrize("breaks", ["off", "with an error"])
def test_the_next_source_is_tried(manager, fake, three, breaks):
    """Whichever is asked first breaks off in the middle, or refuses; the other one gives it."""
    image = image_archive("twice:1", b"from the second")
    asked, image_id = [], id_of(image)

    def give(c, request):
        asked.append(request)
        if len(asked) > 1:
            c.sendall(HEAD + chunk(image) + b"0\r\n\r\n")
        elif breaks == "off":
            c.sendall(HEAD + chunk(image[: len(image) // 2]))
        else:
            c.sendall(REFUSAL)
        return len(asked) > 1

    sources = [source_of(fake, name, "twice:1", give, image_id) for name in ("left", "right")]
    m = manager([three[0], *sources])
    before = m.descriptors()
    container = m.create(Image="twice:1", Cmd=["cat", "/data/extra"], **on_node("node-1"))
    assert [len(s.seen("GET", "/get$")) for s in sources] == [1, 1]
    assert holders(three[:1], "twice:1") == ["node-1"]
    assert m.request("POST", f"/containers/{container}/start").status == 204
    m.json("POST", f"/containers/{container}/wait")
    logs = m.request("GET", f"/containers/{container}/logs?stdout=1").body
    assert http.stdout_of(logs) == b"from the second"
    wait_until(lambda: m.descriptors() <= before, "the connections to go")


def test_few_sources_are_tried(manager, fake, three):
    """Of six nodes that break off three are asked, each once, and the error is that of the last."""
    asked = []

    def refuse(name):
        return lambda c, r: asked.append(name) or c.sendall(REFUSAL) or True

    names = [f"source-{i}" for i in range(6)]
    m = manager([three[0]] + [source_of(fake, name, "bad:1", refuse(name)) for name in names])
    message = m.create(expect=502, Image="bad:1", **on_node("node-1"))
    assert len(asked) == len(set(asked)) == 3
    assert f"node {asked[-1]} cannot give image bad:1: disk on fire" in message


def test_host_of_a_source_dies(manager, three):
    """With real engines: what one began another one ends."""
    extra = os.urandom(32 << 20)
    in_parallel(lambda e: e.load("heavy:1", extra), three[1:])
    m = manager(three)
    replies = []

    def create():
        body = {"Image": "heavy:1", **on_node("node-1")}
        replies.append(m.request("POST", "/containers/create?name=heavy", body, timeout=60))

    thread = threading.Thread(target=create)
    thread.start()
    begun = r"image fetched for a container: image=heavy:1 node=node-1 from=node-(\d)"
    wait_until(lambda: re.search(begun, m.log()), "the copy", 30, 0)
    three[int(re.search(begun, m.log())[1]) - 1].kill()
    thread.join(60)
    assert [reply.status for reply in replies] == [201], replies
    assert "image fetched from the next node: image=heavy:1" in m.log()
    assert holders(three[:1], "heavy:1") == ["node-1"]


def test_host_of_the_source_dies(manager, three):
    """With real engines on both sides: an error that names the node, and nothing half."""
    three[1].load("heavy:1", os.urandom(32 << 20))
    m = manager(three)
    before = m.descriptors()
    replies = []

    def create():
        body = {"Image": "heavy:1", **on_node("node-1")}
        replies.append(m.request("POST", "/containers/create?name=heavy", body, timeout=60))

    thread = threading.Thread(target=create)
    thread.start()
    wait_until(lambda: "image fetched for a container: image=heavy:1" in m.log(), "the copy", 30, 0)
    three[1].kill()
    thread.join(60)
    (reply,) = replies
    assert reply.status in (502, 504) and "node-2" in reply.message(), reply
    assert three[0].tags() == [IMAGE]
    assert three[0].names() == []
    m.create("heavy", **on_node("node-1"))
    wait_until(lambda: m.descriptors() <= before, "the connections to go")


def test_source_has_it_no_more(manager, fake, three):
    """The inventory is behind: it is brought up to date, and the next thing is tried."""
    gone = answer(404, {"message": "reference does not exist"}, reason="Not Found")
    source = source_of(fake, "source", "127.0.0.1:1/gone:1", lambda c, r: gone_now(c))

    def gone_now(c):
        del source.images[1:]
        c.sendall(gone)
        return True

    m = manager([three[0], source])
    body = {"Image": "127.0.0.1:1/gone:1", **on_node("node-1")}
    reply = m.request("POST", "/containers/create", body)
    assert (reply.status, reply.message()) == (404, "No such image: 127.0.0.1:1/gone:1")
    # One that goes on listing what it does not give is not asked for ever.
    source = source_of(fake, "liar", "lie:1", lambda c, r: c.sendall(gone) or True)
    m = manager([three[0], source])
    reply = m.request("POST", "/containers/create", {"Image": "lie:1", **on_node("node-1")})
    assert reply.status == 503 and "lie:1" in reply.message(), reply
    assert 1 < len(source.seen("GET", "/get")) < 10


def test_source_refuses_or_gives_nonsense(manager, fake, three):
    source = source_of(fake, "source", "bad:1", lambda c, r: c.sendall(REFUSAL) or True)
    m = manager([three[0], source])
    message = m.create(expect=502, Image="bad:1", **on_node("node-1"))
    assert "source" in message and "disk on fire" in message
    source.on("GET", "/images/.*/get$", lambda c, r: c.sendall(answer(200, b"no archive")) or True)
    message = m.create(expect=502, Image="bad:1", **on_node("node-1"))
    assert "source cannot give image bad:1: its archive is refused: it breaks off" in message
    source.on("GET", "/images/.*/get$", lambda c, r: c.sendall(answer(200, b"\0" * 10240)) or True)
    message = m.create(expect=502, Image="bad:1", **on_node("node-1"))
    assert "its archive is refused: it does not hold the image" in message


def test_a_copy_brings_no_other_image(manager, fake, three):
    """An engine that lies about what it has: neither the content of another image under the name
    that is asked for, nor another name, gets to a good engine."""
    evil = image_archive("busybox:latest", b"evil")
    sent = []
    source = source_of(fake, "source", "victim:1", lambda c, r: c.sendall(sent[-1]) or True)
    m = manager([three[0], source])
    good = three[0].json("GET", "/images/busybox:latest/json")["Id"]
    # Another one than it lists.
    sent.append(answer(200, evil))
    message = m.create(expect=502, Image="victim:1", **on_node("node-1"))
    assert "its archive is refused: " in message, message
    # The one that it lists, and one more name for it.
    source.images[-1]["Id"] = id_of(evil)
    m = manager([three[0], source])
    message = m.create(expect=502, Image="victim:1", **on_node("node-1"))
    assert "it brings a name that was not asked for" in message, message
    assert three[0].json("GET", "/images/busybox:latest/json")["Id"] == good
    assert three[0].tags() == [IMAGE]
    # An honest one is copied, and named.
    sent.append(answer(200, image_archive("victim:1", b"evil")))
    source.images[-1]["Id"] = id_of(image_archive("victim:1", b"evil"))
    m = manager([three[0], source])
    m.create(Image="victim:1", Cmd=["true"], **on_node("node-1"))
    assert three[0].json("GET", "/images/victim:1/json")["Id"] == source.images[-1]["Id"]


def test_target_sets_the_pace(manager, fake, three):
    """What the source gives waits there, not in the manager, while the target does not read; when
    the client leaves everything ends."""
    sent, ended = [0], threading.Event()

    def endless(c, request):
        try:
            c.sendall(HEAD)
            while True:
                c.sendall(chunk(bytes(65536)))
                sent[0] += 65536
        except OSError:
            ended.set()
        return False

    source = source_of(fake, "source", "endless:1", endless)
    slow = fake("slow", engine_id="S")
    missing = answer(404, {"message": "No such image: endless:1"}, reason="Not Found")
    slow.on("POST", "/containers/create", lambda c, r: c.sendall(missing) or True)
    slow._recv = lambda c: (_ for _ in ()).throw(OSError("closed")) if ended.wait(60) else b""
    m = manager([slow, source])
    before, rss = m.descriptors(), m.rss()
    with m.connect() as client:
        client.send_request("POST", "/containers/create", {"Image": "endless:1", **on_node("slow")})
        state = {}

        def stalled():
            if state.get("sent") != sent[0] or not sent[0]:
                state.update(sent=sent[0], since=time.monotonic())
            return time.monotonic() - state["since"] > 1

        wait_until(stalled, "the source to wait")
        assert sent[0] < 32 << 20, "what the kernel holds, and no more"
        assert m.rss() - rss < 16 << 20
    assert ended.wait(10), "the source is told when the client leaves"
    wait_until(lambda: m.descriptors() <= before, "the connections to go")


# ---- pulled for the container ----


def test_missing_image_is_pulled_by_the_create(manager, three, registry):
    reference = registry.push(three[0], IMAGE, "by-create")
    cluster = manager(three)
    container = cluster.create(Image=reference)
    assert holders(three, reference) == [cluster.node_of(container)]


def test_parallel_creates_pull_once_for_a_node(manager, three, registry):
    three[0].load("seed:1", b"seed" * 100_000)
    reference = registry.push(three[0], "seed:1", "crowd")
    three[0].request("DELETE", "/images/seed:1")
    cluster = manager(three)
    made = create_many(cluster, 50, Image=reference, **on_node("node-2"))
    assert three[1].names() == made
    assert holders(three, reference) == ["node-2"]
    assert cluster.log().count(f"image fetched for a container: image={reference}") == 1


def test_missing_everywhere(manager, docker, three, registry):
    """404 in the engine's words; the pull that follows goes to the one node, the next to all."""
    m = manager(three)
    cli = docker(m)
    missing = f"{registry.addr}/none:1"
    started = time.monotonic()
    reply = m.request("POST", "/containers/create?name=free", {"Image": missing})
    assert (reply.status, reply.message()) == (404, f"No such image: {missing}")
    assert time.monotonic() - started < 30
    error = cli.fails("run", "--rm", missing, "true")
    assert "Unable to find image" in error
    m.create("free")  # the name is
    # The image comes to the registry between the create and the pull, or the create would get it.
    name = f"{registry.addr}/later-{m.port}"
    late = f"{name}:1"
    node = "node-2"
    assert m.request("POST", "/containers/create", {"Image": late, **on_node(node)}).status == 404
    assert registry.push(three[0], IMAGE, f"later-{m.port}") == late
    done = m.request("POST", f"/images/create?fromImage={name}&tag=1", timeout=60)
    assert done.status == 200 and b'"error"' not in done.body, done
    assert holders(three, late) == [node]
    assert m.node_of(m.create(Image=late)) == node
    done = m.request("POST", f"/images/create?fromImage={name}&tag=1", timeout=60)
    assert holders(three, late) == ["node-1", "node-2", "node-3"]


def test_registry_that_says_nothing_is_left_to_the_client(fake, manager):
    engine = fake()
    missing = answer(404, {"message": "No such image: x:latest"}, reason="Not Found")
    engine.on("POST", "/containers/create", lambda c, r: c.sendall(missing) or True)
    gone = threading.Event()

    def silent(c, request):
        while c.recv(65536):
            pass
        gone.set()
        return False

    engine.on("POST", "/images/create", silent)
    m = manager([engine])
    started = time.monotonic()
    assert m.create(expect=404, Image="x") == "No such image: x:latest"
    assert time.monotonic() - started < 30
    assert gone.wait(10)
    # Clients that leave take their pull along. The connection that may stay is there before, else a
    # probe meanwhile would leave one more.
    m.request("GET", "/distribution/x/json")
    before = m.descriptors()
    for n in range(3):
        gone.clear()
        with m.connect() as client:
            headers = {"X-Registry-Auth": "e30="}
            client.send_request("POST", "/containers/create", {"Image": "x"}, headers)
            wait_until(lambda: len(engine.seen("POST", "/images/create")) == 2 + n, "the pull")
        assert gone.wait(10)
    wait_until(lambda: m.descriptors() <= before, "the connections to go")


def test_what_a_pull_is_asked_for(fake, manager):
    """One tag, the platform, the credentials of the create and nothing else of its headers."""
    engine = fake()
    missing = answer(404, {"message": "No such image"}, reason="Not Found")
    engine.on("POST", "/containers/create", lambda c, r: c.sendall(missing) or True)
    error = answer(200, {"error": "denied", "errorDetail": {"message": "denied"}})
    engine.on("POST", "/images/create", lambda c, r: c.sendall(error) or True)
    m = manager([engine])
    digest = "sha256:" + "a" * 64
    for image, target in (
        ("docker.io/library/some", "fromImage=some&tag=latest"),
        ("reg:5000/a/b:1", "fromImage=reg%3A5000%2Fa%2Fb&tag=1"),
        (f"some:1@{digest}", f"fromImage=some&tag=sha256%3A{'a' * 64}"),
        (digest, None),
        ("b" * 64, None),
    ):
        engine.requests.clear()
        body = {"Image": image}
        headers = {"X-Registry-Auth": "c2VjcmV0", "X-Other": "1"}
        reply = m.request("POST", "/containers/create?platform=linux/arm64", body, headers)
        # Of 64 digits, the words of a pull are added.
        assert reply.status == 404 and reply.message().startswith("No such image")
        pulls = engine.seen("POST", "/images/create")
        assert [p.target.partition("?")[2] for p in pulls] == (
            [f"{target}&platform=linux%2Farm64"] if target else []
        )
        assert all(p.header("X-Registry-Auth") == "c2VjcmV0" for p in pulls)
        assert all(p.header("X-Other") is None for p in pulls)
        (create,) = engine.seen("POST", "/containers/create")
        assert create.target.endswith("?platform=linux%2Farm64")
    assert "c2VjcmV0" not in m.log()


def test_pulls_are_not_shared_across_credentials(fake, manager):
    engine = fake()
    missing = answer(404, {"message": "No such image: p:1"}, reason="Not Found")
    engine.on("POST", "/containers/create", lambda c, r: c.sendall(missing) or True)
    go = threading.Event()

    def pull(c, request):
        go.wait(30)
        ok = request.header("X-Registry-Auth") == "good"
        c.sendall(answer(200, {"status": "ok"} if ok else {"error": "denied"}))
        return True

    engine.on("POST", "/images/create", pull)
    m = manager([engine])
    auths = ["good", "bad", None] * 4
    replies = []

    def create(auth):
        headers = {"X-Registry-Auth": auth} if auth else {}
        replies.append(m.request("POST", "/containers/create", {"Image": "p:1"}, headers))

    threads = [threading.Thread(target=create, args=(a,)) for a in auths]
    for t in threads:
        t.start()
    wait_until(lambda: len(engine.seen("POST", "/containers/create")) == 12, "the creates")
    wait_until(lambda: len(engine.seen("POST", "/images/create")) == 3, "three pulls")
    go.set()
    for t in threads:
        t.join(30)
    assert [r.status for r in replies] == [404] * 12
    assert len(engine.seen("POST", "/images/create")) == 3
    # Those whose pull was done tried once more; the others did not.
    assert len(engine.seen("POST", "/containers/create")) == 16


def test_end_while_an_image_comes(fake, manager):
    """The manager ends in order, whoever waits for what."""
    engine = fake()
    missing = answer(404, {"message": "No such image: x:latest"}, reason="Not Found")
    engine.on("POST", "/containers/create", lambda c, r: c.sendall(missing) or True)
    begun = threading.Event()

    def slow(c, request):
        c.sendall(HEAD + chunk(b'{"status":"Pulling"}\r\n'))
        begun.set()
        return bool(c.recv(1))

    engine.on("POST", "/images/create", slow)
    m = manager([engine])
    with m.connect() as client:
        client.send_request("POST", "/containers/create", {"Image": "x"})
        assert begun.wait(10)
        m.stop(30)


def test_pull_and_platform_of_the_client(docker, manager, three, registry):
    reference = registry.push(three[0], IMAGE, "always")
    m = manager(three)
    cli = docker(m)
    cli.run("create", "--pull", "always", "--platform", "linux/amd64", "--name", "a1", reference)
    assert len(holders(three, reference)) == 3, "an explicit pull goes to every node"
    reply = m.request("POST", "/containers/create?platform=linux/arm64", {"Image": reference})
    assert reply.status == 404 and "does not match the specified platform" in reply.message(), reply


# ---- a registry with a password ----


@pytest.fixture
def private(private_registry, three):
    """A reference in it, of an image that no node has."""
    reference = private_registry.push(three[0], IMAGE, "private")
    assert not holders(three, reference)
    return reference


def test_run_after_login(docker, manager, three, private, private_registry, tmp_path):
    m = manager(three)
    stranger = docker(m, config=str(tmp_path / "stranger"))
    assert holders(three, private) == []
    error = stranger.fails("run", "--rm", private, "true")
    assert "no basic auth credentials" in error or "unauthorized" in error, error
    assert holders(three, private) == []
    user = docker(m, config=str(tmp_path / "user"))
    error = user.fails(
        *("login", "-u", "lab", "--password-stdin", private_registry.addr), input="wrong"
    )
    assert "unauthorized" in error or "401" in error, error
    user.run("login", "-u", "lab", "--password-stdin", private_registry.addr, input=PASSWORD)
    assert user.run("run", "--rm", private, "echo", "let in") == "let in"
    assert len(holders(three, private)) == 1, "pulled where it is needed, and nowhere else"
    user.run("pull", private)
    assert len(holders(three, private)) == 3
    user.run("tag", private, f"{private_registry.addr}/mine:1")
    user.run("push", f"{private_registry.addr}/mine:1")
    assert "denied" in (error := stranger.fails("push", f"{private_registry.addr}/mine:1")) or (
        "no basic auth credentials" in error
    )
    forget(m, private)
    forget(m, f"{private_registry.addr}/mine:1")
    error = stranger.fails("run", "--rm", private, "true")
    assert "no basic auth credentials" in error or "unauthorized" in error, error
    log = m.log()
    for secret in (PASSWORD, private_registry.auth()["X-Registry-Auth"]):
        assert secret not in log


def test_credentials_of_a_create(manager, three, private, private_registry):
    """SDKs send them along: good ones pull, bad ones and none are refused."""
    m = manager(three)
    body = {"Image": private}
    for headers in ({}, private_registry.auth("wrong")):
        reply = m.request("POST", "/containers/create", body, headers, timeout=60)
        assert (reply.status, reply.message()) == (404, f"No such image: {private}")
    name, _, tag = private.rpartition(":")
    query = f"fromImage={name}&tag={tag}"
    refusal = m.request("POST", f"/images/create?{query}", timeout=60)
    assert b"no basic auth credentials" in refusal.body, refusal
    distribution = f"/distribution/{private}/json"
    assert m.request("GET", distribution).status in (401, 403, 500)
    assert m.request("GET", distribution, headers=private_registry.auth()).status == 200
    assert holders(three, private) == []
    reply = m.request("POST", "/containers/create", body, private_registry.auth(), timeout=60)
    assert reply.status == 201, reply
    assert holders(three, private) == [m.node_of(reply.json()["Id"])]
    log = m.log()
    for auth in (private_registry.auth(), private_registry.auth("wrong")):
        assert auth["X-Registry-Auth"] not in log
    assert PASSWORD not in log


def test_a_name_like_an_id_that_is_not_there(cluster, docker):
    """64 digits are no name of a repository: `run` ends with what a pull of it would say."""
    words = "cannot specify 64-byte hexadecimal strings"
    name = "0123456789abcdef" * 4
    reply = cluster.request("POST", "/containers/create", {"Image": name})
    assert reply.status == 404, reply
    assert reply.message().startswith("No such image: ")
    assert reply.message().endswith(words)
    assert words in docker(cluster).fails("run", name, "true")
