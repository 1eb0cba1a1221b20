"""The Docker SDK for Python, through its main calls, on old engines behind TLS and on a fleet of two
versions."""

import io
import tarfile
import threading

import docker
import docker.errors
import pytest

from lab.waiting import wait_until

STAY = ["sleep", "1000"]


@pytest.fixture(params=["tls_engines", "mixed"])
def fleet(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def swarm(manager, fleet, certs):
    if fleet[0].tls:
        identity = certs.server("manager", ips=["127.0.0.1"])
        return manager(fleet, tls=identity, client=certs.client())
    return manager(fleet)


@pytest.fixture
def sdk(swarm, monkeypatch):
    # They would count more than the authority that the client is given.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    tls = None
    if swarm.client:
        pair = (swarm.client.cert, swarm.client.key)
        tls = docker.tls.TLSConfig(client_cert=pair, ca_cert=swarm.client.ca, verify=True)
    client = docker.DockerClient(
        base_url=f"tcp://{swarm.addr}", version="auto", timeout=60, tls=tls
    )
    yield client
    client.close()


def raw(stream):
    """The socket, which the SDK wraps unless it is one of TLS."""
    return getattr(stream, "_sock", stream)


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    out.seek(0)
    return out


def test_run(sdk):
    assert sdk.ping()
    assert sdk.containers.run("busybox", ["echo", "out"], remove=True) == b"out\n"
    with pytest.raises(docker.errors.ContainerError) as error:
        sdk.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    assert error.value.exit_status == 3 and error.value.stderr == b"bad\n"
    lines = sdk.containers.run("busybox", ["sh", "-c", "echo a; echo b"], stream=True)
    assert b"".join(lines) == b"a\nb\n"
    with pytest.raises(docker.errors.APIError) as error:
        sdk.containers.run("busybox", ["nosuch"], remove=True)
    assert error.value.response.status_code in (400, 404)
    with pytest.raises(docker.errors.NotFound):
        sdk.containers.get("nosuch")

    one = sdk.containers.run(
        "busybox", STAY, name="one", detach=True, labels={"a": "b"}, stop_signal="KILL"
    )
    assert one.status == "created"
    one.reload()
    assert one.status == "running" and one.labels["a"] == "b"
    assert [c.id for c in sdk.containers.list(filters={"label": "a=b"})] == [one.id]
    with pytest.raises(docker.errors.APIError) as error:
        sdk.containers.create("busybox", name="one")
    assert error.value.response.status_code == 409
    assert one.top()["Processes"][0][-1] == "sleep 1000"
    one.pause()
    one.unpause()
    one.rename("renamed")
    one.update(mem_limit="64m", memswap_limit="64m")
    one.reload()
    assert one.attrs["HostConfig"]["Memory"] == 64 << 20
    statistics = one.stats(stream=False)
    assert statistics["memory_stats"]["usage"] > 0
    assert next(one.stats(stream=True, decode=True))["read"]
    one.restart(timeout=5)
    one.stop(timeout=5)
    assert one.wait(timeout=30)["StatusCode"] == 137
    one.start()
    one.kill()
    assert one.wait(timeout=30)["StatusCode"] == 137
    one.remove(v=True)
    with pytest.raises(docker.errors.NotFound):
        one.reload()


def test_streams(sdk):
    one = sdk.containers.run("busybox", STAY, detach=True)
    assert one.exec_run(["echo", "x"]) == (0, b"x\n")
    assert one.exec_run("sh -c 'echo o; echo e >&2; exit 4'", demux=True) == (4, (b"o\n", b"e\n"))
    assert b"".join(one.exec_run(["echo", "x"], stream=True).output) == b"x\n"
    assert not one.exec_run("true", detach=True).output
    stream = one.exec_run("cat", stdin=True, socket=True, tty=True).output
    raw(stream).sendall(b"typed\n")
    got = b""
    while got.count(b"typed") < 2:
        got += raw(stream).recv(1000)
    raw(stream).sendall(b"\x04")
    while raw(stream).recv(1000):
        pass
    stream.close()

    talk = sdk.containers.run(
        "busybox", ["sh", "-c", "read x; echo heard $x"], detach=True, stdin_open=True
    )
    stream = talk.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    followed = talk.logs(stream=True, follow=True)
    raw(stream).sendall(b"word\n")
    assert b"".join(followed) == b"heard word\n"
    assert raw(stream).recv(1000)[8:] == b"heard word\n"
    stream.close()
    assert talk.wait(timeout=30)["StatusCode"] == 0
    assert talk.logs(tail=1, timestamps=True).endswith(b"Z heard word\n")


def test_files(sdk):
    one = sdk.containers.create("busybox", STAY)
    assert one.put_archive("/tmp", tar_of(file="content"))
    chunks, stat = one.get_archive("/tmp/file")
    assert stat["name"] == "file" and stat["size"] == 7
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert tar.extractfile("file").read() == b"content"
    with pytest.raises(docker.errors.NotFound):
        one.get_archive("/nosuch")
    assert {"Path": "/tmp/file", "Kind": 1} in one.diff()
    with tarfile.open(fileobj=io.BytesIO(b"".join(one.export()))) as tar:
        assert tar.extractfile("tmp/file").read() == b"content"


def test_images(sdk, fleet, registry):
    with pytest.raises(docker.errors.ImageNotFound):
        sdk.images.get("nosuch")
    busybox = sdk.images.get("busybox")
    assert "busybox:latest" in busybox.tags and busybox.history()
    repository = f"{registry.addr}/sdk/{fleet[-1].name}"
    assert busybox.tag(repository, "one")
    pushed = list(sdk.images.push(repository, "one", stream=True, decode=True))
    assert not any("error" in line for line in pushed), pushed
    assert any(line.get("aux", {}).get("Tag") == "one" for line in pushed)
    sdk.images.remove(f"{repository}:one")
    assert sdk.images.list(repository) == []
    assert sdk.images.pull(repository, "one").tags.count(f"{repository}:one") == 1
    assert all(e.request("GET", f"/images/{repository}:one/json").status == 200 for e in fleet)
    with pytest.raises((docker.errors.NotFound, docker.errors.APIError)):
        sdk.images.pull(repository, "nosuch")
    assert sdk.images.get_registry_data(f"{repository}:one").id.startswith("sha256:")

    text = "FROM busybox\nARG WORD\nRUN echo $WORD > /word\nCMD cat /word\n"
    image, log = sdk.images.build(
        fileobj=tar_of(Dockerfile=text), custom_context=True, tag="made", buildargs={"WORD": "w"}
    )
    assert "made:latest" in image.tags and any("stream" in line for line in log)
    assert sdk.containers.run("made", remove=True) == b"w\n"
    with pytest.raises(docker.errors.BuildError):
        sdk.images.build(
            fileobj=tar_of(Dockerfile="FROM busybox\nRUN exit 9\n"), custom_context=True
        )
    saved = b"".join(image.save(named="made:latest"))
    sdk.images.remove("made", force=True)
    # Every node tells that it has loaded it.
    assert {tuple(i.tags) for i in sdk.images.load(saved)} == {("made:latest",)}
    container = sdk.containers.run("made", ["touch", "/new"], detach=True)
    container.wait(timeout=30)
    committed = container.commit("committed", "one", message="said")
    assert committed.attrs["Comment"] == "said"
    container.remove()
    for name in ("made", "committed:one", f"{repository}:one"):
        sdk.images.remove(name)
    assert "ImagesDeleted" in sdk.images.prune()


def test_networks_and_volumes(sdk):
    network = sdk.networks.create("inside", driver="bridge", labels={"a": "b"})
    volume = sdk.volumes.create("kept", labels={"a": "b"})
    assert sdk.networks.get(network.id).id == network.id
    assert [n.id for n in sdk.networks.list(filters={"label": "a=b"})] == [network.id]
    assert len(sdk.volumes.list(filters={"label": "a=b"})) == 1
    assert sdk.volumes.get("kept").attrs["Driver"] == "local"
    first = sdk.containers.run(
        "busybox", STAY, detach=True, network="inside", name="first", volumes={"kept": {"bind": "/k"}}
    )
    first.exec_run("touch /k/x")
    listed = sdk.containers.run(
        "busybox", ["ls", "/k"], remove=True, volumes={"kept": {"bind": "/k", "mode": "ro"}}
    )
    assert listed == b"x\n"
    ping = ["ping", "-c", "1", "-q", "first"]
    assert b"1 packets received" in sdk.containers.run("busybox", ping, remove=True, network="inside")
    network.disconnect(first)
    network.connect(first, aliases=["other"])
    network.reload()
    assert [c.id for c in network.containers] == [first.id]
    with pytest.raises(docker.errors.APIError):
        volume.remove()
    first.remove(force=True)
    assert sdk.networks.prune()["NetworksDeleted"]
    with pytest.raises(docker.errors.NotFound):
        network.reload()
    volume.remove()
    with pytest.raises(docker.errors.NotFound):
        sdk.volumes.get("kept")
    for call, key in (
        (sdk.containers.prune, "ContainersDeleted"),
        (sdk.volumes.prune, "VolumesDeleted"),
    ):
        assert key in call()


def test_system(sdk, fleet):
    assert sdk.info()["Swarm"]["LocalNodeState"] == "inactive"
    assert sdk.version()["ApiVersion"]
    seen, listening = [], threading.Event()

    def listen():
        events = sdk.api.events(decode=True, filters={"type": "container"})
        listening.set()
        for event in events:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                events.close()
                return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert listening.wait(30)
    sdk.containers.run("busybox", ["true"], remove=True)
    thread.join(30)
    assert not thread.is_alive(), seen
    assert [a for a in seen if a in ("create", "start", "die", "destroy")] == [
        *("create", "start", "die", "destroy"),
    ]
    used = sdk.df()
    assert used["Images"] and used["Containers"] is not None
    wait_until(lambda: not sdk.containers.list(all=True), "no containers")
    for call in (sdk.services.list, sdk.nodes.list, sdk.secrets.list, sdk.configs.list):
        with pytest.raises(docker.errors.APIError) as error:
            call()
        assert error.value.response.status_code == 503, error.value
    assert sdk.plugins.list() == []
