"""What the tests share: one lab per session; managers and other processes per test."""

import contextlib

import pytest

from lab.certs import Certificates
from lab.cli import Compose, Docker, binaries
from lab.consul import Consul
from lab.engine import Engine, image_archive
from lab.fake_engine import FakeEngine
from lab.machine import Machine
from lab.registry import Registry
from lab.swarm import Join, Manager, Process, Simulator, binary
from lab.waiting import in_parallel


@pytest.hookimpl(tryfirst=True, hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Keeps each phase's outcome where fixtures can see it."""
    outcome = yield
    setattr(item, f"report_{call.when}", outcome.get_result())


@pytest.fixture(scope="session")
def machine():
    binary()
    lab = Machine()
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture(scope="session")
def archive():
    return image_archive()


@pytest.fixture(scope="session")
def certs(machine):
    return Certificates(f"{machine.tmp}/certs")


def _boot(engines, archive):
    try:
        in_parallel(lambda e: e.boot(archive), engines)
        yield engines
    finally:
        for engine in engines:
            engine.kill()


@pytest.fixture(scope="session")
def engines_of_session(machine, archive):
    """Five real engines without TLS; node-1 and node-2 have ssd, node-2 and node-3 are external."""
    labels = [
        {"disk": "ssd", "zone": "internal"},
        {"disk": "ssd", "zone": "external"},
        {"disk": "hdd", "zone": "external"},
        {"disk": "hdd", "zone": "internal", "rack": "a"},
        {"rack": "b", "containerslots": "3"},
    ]
    engines = [Engine(machine, 11 + i, f"node-{i + 1}", kv) for i, kv in enumerate(labels)]
    yield from _boot(engines, archive)


@pytest.fixture(scope="session")
def tls_engines_of_session(machine, archive, certs):
    """Three real engines behind TLS."""
    labels = [{"disk": "ssd"}, {"disk": "ssd", "zone": "external"}, {"zone": "external"}]
    engines = [Engine(machine, 21 + i, f"tls-{i + 1}", kv, certs) for i, kv in enumerate(labels)]
    yield from _boot(engines, archive)


@pytest.fixture(scope="session")
def newer_engine_of_session(machine, archive):
    """One real engine that is newer than the others."""
    engines = [Engine(machine, 31, "node-26", {"disk": "ssd"}, version=26)]
    yield from _boot(engines, archive)


def _used(engines):
    yield engines
    in_parallel(lambda e: e.reset(), engines)


@pytest.fixture
def five(engines_of_session):
    """Five real engines, clean again afterwards."""
    yield from _used(engines_of_session)


@pytest.fixture
def three(engines_of_session):
    """The first three of them."""
    yield from _used(engines_of_session[:3])


@pytest.fixture
def mixed(engines_of_session, newer_engine_of_session):
    """Two engines of 20.10 and one of 26.1."""
    yield from _used(engines_of_session[:2] + newer_engine_of_session)


@pytest.fixture(scope="session")
def newer_pair(machine, archive, newer_engine_of_session):
    """Two engines of 26.1."""
    other = Engine(machine, 32, "node-x26", {"disk": "ssd"}, version=26)
    other.boot(archive)
    yield [other, *newer_engine_of_session]
    other.kill()


@pytest.fixture(scope="session")
def newer_tls_pair(machine, archive, certs):
    """Two engines of 26.1 behind TLS."""
    names = {33: "node-t26", 34: "node-u26"}
    engines = [Engine(machine, at, name, certs=certs, version=26) for at, name in names.items()]
    yield from _boot(engines, archive)


@pytest.fixture
def pair(request):
    """version, is_tls -> two engines as like as can be, clean again afterwards."""
    used = []

    def make(version, is_tls=False):
        if version == 26:
            name = "newer_tls_pair" if is_tls else "newer_pair"
        else:
            name = "tls_engines_of_session" if is_tls else "engines_of_session"
        used.extend(request.getfixturevalue(name)[:2])
        return used

    yield make
    for engine in used:
        engine.reset()


@pytest.fixture
def tls_engines(tls_engines_of_session):
    yield from _used(tls_engines_of_session)


@pytest.fixture
def start(request, machine):
    """start(Manager, ...), start(Join, ...), start(Simulator, ...), start(FakeEngine, ...): made
    now, ended and checked after the test."""
    made = []

    def make(kind, *args, **kw):
        if issubclass(kind, Process):
            thing = kind(machine, *args, **kw)
        else:
            thing = kind(*args, **kw)
        made.append(thing)
        return thing

    yield make
    failed = getattr(request.node, "report_call", None)
    if failed is not None and failed.failed:
        for thing in made:
            if isinstance(thing, Process):
                print(f"---- {' '.join(thing.args)}\n{thing.log()[-6000:]}")
    with contextlib.ExitStack() as stack:
        for thing in made:
            stack.callback(thing.stop if isinstance(thing, Process) else thing.close)


@pytest.fixture
def manager(start):
    """manager(engines or addresses or URL, arguments...): a running swarm manage."""

    def make(discovery, *args, **kw):
        if not isinstance(discovery, str):
            discovery = [getattr(d, "addr", d) for d in discovery]
        return start(Manager, discovery, *args, **kw)

    return make


@pytest.fixture
def join(start):
    return lambda *args, **kw: start(Join, *args, **kw)


@pytest.fixture
def simulate(start):
    return lambda count, *args, **kw: start(Simulator, count, *args, **kw)


@pytest.fixture
def fake(start):
    return lambda *args, **kw: start(FakeEngine, *args, **kw)


@pytest.fixture
def consul(machine):
    """A Consul of its own, empty."""
    with _consul_host(machine) as server:
        server.start()
        yield server
        server.kill()


@contextlib.contextmanager
def _consul_host(machine):
    # The namespace is made once and stays.
    if not hasattr(machine, "consul"):
        machine.consul = Consul(machine)
    try:
        yield machine.consul
    finally:
        machine.consul.kill()


@pytest.fixture(scope="session")
def registry(machine):
    server = Registry(machine).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def private_registry(machine):
    server = Registry(machine, is_private=True).start()
    yield server
    server.kill()


def _host(manager_or_host, identity):
    if isinstance(manager_or_host, Manager):
        return f"tcp://{manager_or_host.addr}", identity or manager_or_host.client
    return manager_or_host, identity


def _docker(binary, machine):
    def make(manager_or_host, identity=None, config=None, **kw):
        host, identity = _host(manager_or_host, identity)
        config = config or f"{machine.tmp}/docker-config"
        return Docker(binary, host, identity, config=config, **kw)

    return make


@pytest.fixture(params=binaries(), ids=lambda path: path.strip("/").replace("/", "-"))
def docker(request, machine):
    """docker(manager): a client of it; each test runs once with every client that is here."""
    return _docker(request.param, machine)


@pytest.fixture
def one_docker(machine):
    """The same with the first client only, where the client is not the point."""
    return _docker(binaries()[0], machine)


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def compose(request, machine):
    """compose(manager, folder): Compose in the folder of a project, once with each version."""

    def make(manager_or_host, project, identity=None, **kw):
        host, identity = _host(manager_or_host, identity)
        config = f"{machine.tmp}/docker-config"
        return Compose(request.param, project, host, identity, config, **kw)

    make.version = request.param
    return make
