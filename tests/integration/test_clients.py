"""What clients send that the docker command line does not."""

import json

import pytest

from lab.http import Stream, stdout_of

OPTIONS = b'{"stream":true,"stdin":true,"stdout":true,"stderr":true}'


def head_of(stream):
    """(status, what came behind the head)"""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv()
        assert more, data
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), rest


@pytest.mark.parametrize("upgrade", ["Connection: Upgrade\r\nUpgrade: tcp\r\n", ""])
@pytest.mark.parametrize("chunked", [False, True])
def test_attach_with_options_in_a_body(three, manager, upgrade, chunked):
    """Engines read past the body, then the connection is a stream; nothing of it gets into stdin."""
    m = manager(three)
    m.create("cat", Cmd=["cat"], OpenStdin=True, StdinOnce=True, AttachStdin=True)
    if chunked:
        framing = "Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(OPTIONS), OPTIONS)
    else:
        framing, body = f"Content-Length: {len(OPTIONS)}\r\n", OPTIONS
    query = "stream=1&stdin=1&stdout=1&stderr=1"
    with Stream(m.address) as s:
        s.send(f"POST /containers/cat/attach?{query} HTTP/1.1\r\nHost: x\r\n"
               f"Content-Type: application/json\r\n{framing}{upgrade}\r\n".encode() + body)
        status, data = head_of(s)
        assert status == (101 if upgrade else 200)
        assert m.request("POST", "/containers/cat/start").status == 204
        s.send(b"abc\n")
        s.shutdown_write()
        while more := s.recv():
            data += more
        assert stdout_of(data) == b"abc\n"


def test_attach_with_too_large_a_body(three, manager):
    m = manager(three[:1])
    m.create("idle")
    with Stream(m.address) as s:
        s.send("POST /containers/idle/attach?stream=1 HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n"
               "Connection: Upgrade\r\nContent-Length: 99999999\r\n\r\n")
        assert head_of(s)[0] == 413


@pytest.mark.parametrize("route", ["session", "grpc"])
def test_session_with_an_empty_body_in_chunks(newer_engine_of_session, manager, route):
    m = manager(newer_engine_of_session)
    with Stream(m.address) as s:
        s.send(f"POST /{route} HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n"
               "X-Docker-Expose-Session-Uuid: abc\r\nX-Docker-Expose-Session-Name: t\r\n"
               "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert head_of(s)[0] == 101


def test_links_of_an_end_point(three, manager):
    """An alias for the name that the manager shows, which the container's engine does not know."""
    m = manager(three)
    m.json("POST", "/networks/create", {"Name": "back"})
    web = m.run("web", HostConfig={"NetworkMode": "back"})
    shown = m.json("GET", f"/containers/{web}/json")["Node"]["Name"] + "/web"
    for name, links in (("plain", ["web:dbx"]), ("shown", [f"{shown}:dbx"])):
        other = m.run(name, HostConfig={"NetworkMode": "back"},
                      NetworkingConfig={"EndpointsConfig": {"back": {"Links": links}}})
        network = m.json("GET", f"/containers/{other}/json")["NetworkSettings"]["Networks"]
        assert [entry["Links"] for entry in network.values()] == [["web:dbx"]], name
    # The same when it is connected later.
    late = m.run("late", HostConfig={"NetworkMode": "none"}, Env=[f"affinity:container=={web}"])
    m.json("POST", "/networks/none/disconnect", {"Container": late})
    m.json("POST", "/networks/back/connect",
           {"Container": late, "EndpointConfig": {"Links": [f"{shown}:dbx"]}})
    network = m.json("GET", f"/containers/{late}/json")["NetworkSettings"]["Networks"]
    assert network["back"]["Links"] == ["web:dbx"]


def test_what_was_asked_for_is_told_as_it_was(three, manager):
    """Clients compare PortBindings with what they want; where a port is, NetworkSettings says."""
    m = manager(three)
    bindings = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18877"}]}
    label = '"NetworkSettings":{"HostIp":"0.0.0.0"}'
    web = m.run("web", HostConfig={"PortBindings": bindings}, ExposedPorts={"80/tcp": {}},
                Labels={"l": label})
    told = m.json("GET", f"/containers/{web}/json")
    assert told["HostConfig"]["PortBindings"] == bindings
    assert told["Config"]["Labels"]["l"] == label
    ports = told["NetworkSettings"]["Ports"]["80/tcp"]
    assert told["Node"]["IP"] in {p["HostIp"] for p in ports}
    assert "0.0.0.0" not in {p["HostIp"] for p in ports}


def test_versions_of_old_tools(three, manager):
    """Tools of before 2024 speak 1.22, and an engine of that age takes 1.12 to its own."""
    m = manager(three)
    for target in ("v1.22/containers/json", "v1.22/images/json", "v1.22/images/busybox:latest/get",
                   "v1.12/version"):
        assert m.request("GET", f"/{target}").status == 200, target
    assert json.loads(m.request("GET", "/version").body)["MinAPIVersion"] == "1.12"
    assert m.request("GET", "/v1.11/version").status == 400


def test_a_load_has_one_result(three, manager, archive):
    m = manager(three)
    reply = m.request("POST", "/images/load?quiet=1", archive, timeout=120)
    assert reply.status == 200
    assert reply.body.count(b"Loaded image") == 1, reply.body
