"""The Docker SDK for Ruby (lab/sdk.rb drives it), on a fleet of two versions and behind TLS."""

import json
import os

import pytest

from lab.cli import Command, environment

SCRIPT = f"{os.path.dirname(__file__)}/lab/sdk.rb"


@pytest.fixture(params=["tls_engines", "mixed"])
def fleet(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def sdk(manager, fleet, certs):
    """sdk(part, arguments...): what that part of the script tells."""
    identity = None
    if fleet[0].tls:
        identity = certs.client()
        server = certs.server("manager", ips=["127.0.0.1"])
        swarm = manager(fleet, tls=server, client=identity)
    else:
        swarm = manager(fleet)
    ruby = Command(["ruby", "-W0", SCRIPT], environment(f"tcp://{swarm.addr}", identity))
    return lambda *args: json.loads(ruby.run(*args))


def errors(result):
    return result and result["error"]


def test_system(sdk, fleet):
    told = sdk("system")
    assert told["ping"] == "OK" and told["version"]["ApiVersion"] and not told["podman"]
    assert told["info"]["Swarm"]["LocalNodeState"] == "inactive"
    assert told["info"]["Images"] >= 1
    if not fleet[0].tls:
        assert {e.version for e in fleet} == {None, 26}


def test_containers(sdk):
    told = sdk("containers")
    assert told["before"] == "created" and told["refreshed"].startswith("Up")
    assert told["listed"] and told["got"]
    assert [line["CMD"] for line in told["top"]] == ["sleep 1000"]
    assert told["stats"]["usage"] > 0 and told["samples"] == 2
    assert told["paused"] == "paused"
    assert told["renamed"] == ["/renamed", 64 << 20]
    assert told["stopped"]["StatusCode"] == told["killed"]["StatusCode"] == 137
    assert told["none"] == 0
    assert [errors(told[what]) for what in ("conflict", "busy", "gone", "bad", "missing")] == [
        *("ConflictError", "ConflictError", "NotFoundError", "ClientError", "NotFoundError"),
    ]


def test_streams(sdk):
    told = sdk("streams")
    assert told["echo"] == [["o\n"], ["e\n"], 4]
    assert told["fed"] == [6000, 0]
    assert told["terminal"].startswith("/dev/")
    assert told["detached"]
    assert told["attached"] == ["heard a\nheard b\n", "end\n"]
    assert "".join(t for stream, t in told["heard"] if stream == "stdout") == "heard a\nheard b\n"
    assert told["status"]["StatusCode"] == 0
    assert told["followed"] == "heard a\nheard b\n"
    assert told["tail"].endswith("heard b\n")
    assert errors(told["stopped"]) == "ConflictError" and errors(told["gone"]) == "NotFoundError"


def test_files(sdk):
    told = sdk("files")
    assert told["stored"] == "stored" and told["same"]
    assert told["entry"] == ["one"] and told["exported"]
    assert {"Path": "/tmp/one", "Kind": 1} in told["changes"]
    assert errors(told["missing"]) == "NotFoundError"


def test_images(sdk, fleet, registry):
    repository = f"{registry.addr}/ruby/{fleet[-1].name}"
    told = sdk("images", repository)
    assert '"Tag":"one"' in told["pushed"] and not told["exists"]
    assert f"{repository}:one" in told["pulled"] and "Pull" in told["lines"]
    assert "Successfully tagged made:latest" in told["progress"]
    assert told["history"] >= 3 and told["tags"] == ["made:latest"] and told["output"] == "w\n"
    assert errors(told["broken"]) == "UnexpectedResponseError"
    assert told["saved"] > 1 << 20 and told["back"]
    assert all(f'"id":"{engine.name}"' in told["loaded"] for engine in fleet)
    assert [errors(e) for e in told["missing"]] == ["NotFoundError", "NotFoundError"]
    assert told["committed"] == {
        **{"Comment": "said", "RepoTags": ["committed:latest"], "Cmd": ["true"]},
    }
    assert errors(told["used"]) == "ConflictError"
    assert {"busybox:latest", "made:latest", "committed:latest"} <= set(told["listed"])
    assert "Untagged" in told["removed"] and "SpaceReclaimed" in told["pruned"]


def test_networks_and_volumes(sdk):
    told = sdk("networks_and_volumes")
    assert told["id"] and told["connected"] and told["networks"]
    assert told["apart"] == {}
    assert told["volume"]["Driver"] == "local" and told["volume"]["Labels"] == {"a": "b"}
    assert len(told["volumes"]) == 1 and told["volumes"][0].endswith("/kept")
    assert errors(told["taken"]) == errors(told["used"]) == "ConflictError"
    # Engines refuse it with 403, for which the SDK has no error of its own.
    assert errors(told["busy"]) == "Forbidden"
    assert [errors(e) for e in told["gone"]] == ["NotFoundError", "NotFoundError"]


def test_events(sdk, fleet):
    told = sdk("events")
    main = ["create", "start", "die", "destroy"]
    assert [action for action in told["actions"] if action in main] == main
    assert len(set(told["nodes"])) == 1 and told["nodes"][0] in [e.name for e in fleet]
    assert [action for action in told["past"] if action in main] == main
