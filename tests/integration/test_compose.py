"""Compose, both versions: a project with everything that one engine can do, on a cluster of three."""

import os

import pytest

from lab.waiting import wait_until

# Both versions read this form of the file, conditions included.
PROJECT = """
version: "2.4"
services:
  web:
    build: ./web
    environment:
      GREETING: ${GREETING:-hello}
    depends_on:
      store:
        condition: service_healthy
    networks: [inside]
    volumes: ["shared:/shared"]
    stop_signal: SIGKILL
  store:
    image: busybox
    command: ["sh", "-c", "echo stored > /shared/it; exec sleep 1000"]
    healthcheck:
      test: ["CMD", "test", "-e", "/shared/it"]
      interval: 1s
      timeout: 10s
      retries: 30
    networks:
      inside:
        aliases: [database]
    volumes: ["shared:/shared"]
    stop_signal: SIGKILL
networks:
  inside:
    labels: {purpose: test}
volumes:
  shared: {}
"""

DOCKERFILE = """
FROM busybox
RUN echo built > /built
CMD ["sh", "-c", "echo $GREETING $(cat /built /shared/it); exec sleep 1000"]
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    (folder / "web").mkdir(parents=True)
    (folder / "docker-compose.yml").write_text(PROJECT)
    (folder / "web" / "Dockerfile").write_text(DOCKERFILE)
    return str(folder)


@pytest.fixture(params=["plain", "tls"])
def engines(request):
    return request.getfixturevalue("three" if request.param == "plain" else "tls_engines")


def test_project(compose, project, manager, engines, certs):
    """Over TLS both to the manager and to the engines."""
    tls = {}
    if engines[0].tls:
        tls = {"tls": certs.server("manager", ips=["127.0.0.1"]), "client": certs.client()}
    swarm = manager(engines, **tls)
    shop = compose(swarm, project)
    shop.run("config", "-q")
    assert "inside" in shop.run("config")
    shop.run("up", "-d", "--scale", "web=5", timeout=240)

    webs = shop.run("ps", "-q", "web").split()
    assert len(webs) == 5
    # A network that only one engine knows keeps the project together.
    assert len({swarm.node_of(web) for web in webs + shop.run("ps", "-q", "store").split()}) == 1
    state = swarm.json("GET", f"/containers/{shop.run('ps', '-q', 'store')}/json")["State"]
    assert state["Health"]["Status"] == "healthy"
    wait_until(lambda: shop.run("logs", "web").count("hello built stored") == 5, "five greetings")
    assert "5" in shop.run("exec", "-T", "--index", "5", "web", "sh", "-c", "echo $((2+3))")
    answered = shop.run("exec", "-T", "web", "ping", "-c", "1", "-q", "database")
    assert "1 packets received" in answered
    assert shop.run("run", "--rm", "-T", "web", "cat", "/built", "/shared/it").split() == [
        "built",
        "stored",
    ]
    status, _, _ = shop.run("run", "--rm", "-T", "web", "sh", "-c", "exit 7", check=False)
    assert status == 7

    # What is the same is left alone; fewer are wanted, others go.
    shop.run("up", "-d", "--scale", "web=2", timeout=240)
    assert set(shop.run("ps", "-q", "web").split()) < set(webs)
    before = shop.run("ps", "-q", "store")
    shop.run("restart", "-t", "5", "web", timeout=120)
    shop.env["GREETING"] = "changed"
    shop.run("up", "-d", "--scale", "web=2", timeout=240)
    assert shop.run("ps", "-q", "store") == before
    wait_until(lambda: shop.run("logs", "web").count("changed built stored") == 2, "new greetings")
    shop.run("stop", "web", timeout=120)
    running = {entry["Labels"]["com.docker.compose.service"] for entry in swarm.ps("").values()}
    assert running == {"store"}
    shop.run("down", "-v", "--rmi", "local", timeout=240)
    assert swarm.ps() == {}
    names = {n["Name"] for e in engines for n in e.json("GET", "/networks")}
    assert names == {"bridge", "host", "none"}
    assert not any(e.json("GET", "/volumes")["Volumes"] for e in engines)
    left = {i["Id"] for e in engines for i in e.json("GET", "/images/json")}
    assert left == engines[0].base_images


def test_errors(compose, project, manager, three):
    """What is wrong is said, and leaves nothing."""
    shop = compose(manager(three), project)
    with open(os.path.join(project, "web", "Dockerfile"), "a") as f:
        f.write("RUN exit 9\n")
    assert "9" in shop.fails("build", "web", timeout=240)
    status, out, err = shop.run("exec", "-T", "web", "true", check=False)
    assert status != 0, (out, err)
    shop.run("down", timeout=120)
