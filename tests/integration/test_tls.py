"""Certificates on both sides: who is let in, who is believed, and changing them while running."""

import signal
import socket
import ssl
import threading

import pytest

from lab import http
from lab.certs import Certificates, Identity
from lab.engine import IMAGE
from lab.waiting import holds_for, wait_until


@pytest.fixture
def identity(certs):
    return certs.server("manager", ips=["127.0.0.1"], names=["localhost"])


@pytest.fixture
def cluster(manager, tls_engines, certs, identity):
    return manager(tls_engines, tls=identity, client=certs.client())


@pytest.fixture(scope="module")
def strangers(machine):
    return Certificates(f"{machine.tmp}/strangers", "strange")


def refused(address):
    """True when the handshake fails, or the connection ends without an answer."""
    try:
        http.request(address, "GET", "/_ping", timeout=5)
    except (ssl.SSLError, OSError):
        return True
    return False


# ---- clients ----


def test_clients(cluster, certs, strangers):
    addr = cluster.addr
    good = certs.client()
    assert http.request(("tls", addr, good), "GET", "/_ping").status == 200
    nobody = Identity(None, certs.ca, None, None)
    assert refused(("tls", addr, nobody)), "without a certificate"
    stranger = strangers.client()
    assert refused(("tls", addr, stranger._replace(ca=certs.ca))), "of another authority"
    expired = certs.client("expired-client", days="-1")
    assert refused(("tls", addr, expired)), "expired"
    server_only = certs._issue("server-only", ["extendedKeyUsage=serverAuth"])
    assert refused(("tls", addr, server_only)), "not for clients"
    assert refused(("tcp", addr)), "in the clear"
    assert http.request(("tls", addr, good), "GET", "/_ping").status == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.*deprecated")
def test_old_protocols_are_refused(cluster, certs):
    client = certs.client()
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        context = http.tls_context(client)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = version, version
        assert refused(("tls", cluster.addr, context)), version
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = http.tls_context(client)
        context.minimum_version, context.maximum_version = version, version
        assert http.request(("tls", cluster.addr, context), "GET", "/_ping").status == 200


def test_handshakes_that_stall(cluster, certs):
    """Clients that connect and say nothing, or nonsense: nobody else waits."""
    held = [socket.create_connection(("127.0.0.1", cluster.port)) for _ in range(100)]
    try:
        for i, s in enumerate(held):
            if i % 2:
                s.sendall(b"\x16\x03\x01\x02\x00\x01")
        for _ in range(5):
            assert cluster.request("GET", "/_ping", timeout=3).status == 200
    finally:
        for s in held:
            s.close()
    too_long = b"\x16\x03\x01\xff\xff" + b"\xff" * 70000
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 1000, too_long):
        with socket.create_connection(("127.0.0.1", cluster.port), 5) as s:
            try:
                s.sendall(garbage)
                while s.recv(4096):
                    pass
            except OSError:
                pass
    assert cluster.request("GET", "/_ping").status == 200


def test_tls_without_verification(manager, tls_engines, identity, certs):
    """--tls alone: encrypted, clients need no certificate; engines get ours."""
    m = manager(
        "nodes://" + ",".join(e.addr for e in tls_engines),
        *("--tls", f"--tlscert={identity.cert}", f"--tlskey={identity.key}"),
        tls=None,
        listening=False,
    )
    nobody = Identity(None, certs.ca, None, None)
    m.tls, m.client = identity, nobody
    m.wait_listening()
    m.wait_healthy(3)


# ---- engines ----


class Door:
    """Ends TLS in front of an engine in Python, with the certificate that a test wants."""

    def __init__(self, engine, identity):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.cert, identity.key)
        self._context, self._engine = context, engine
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.addr = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                c, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(c,), daemon=True).start()

    def _relay(self, c):
        try:
            tls = self._context.wrap_socket(c, server_side=True)
            host, port = self._engine.addr.split(":")
            inner = socket.create_connection((host, int(port)))
        except OSError:
            c.close()
            return

        def copy(source, target):
            try:
                while True:
                    data = source.recv(65536)
                    if not data:
                        break
                    target.sendall(data)
            except OSError:
                pass
            for s in (source, target):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        threading.Thread(target=copy, args=(tls, inner), daemon=True).start()
        copy(inner, tls)

    def close(self):
        self._listener.close()


def test_engines_that_cannot_be_believed(manager, fake, certs, strangers, identity):
    """Each is shown with a reason of its own; the good one works."""
    doors = {
        "good": certs.server("door-good", ips=["127.0.0.1"]),
        "wrong name": certs.server("door-name", names=["elsewhere.example"], ips=["10.9.9.9"]),
        "expired": certs.server("door-expired", ips=["127.0.0.1"], days="-1"),
        "strange": strangers.server("door-strange", ips=["127.0.0.1"]),
        "no name": certs.server("door-none"),
    }
    doors = {k: Door(fake(f"behind-{i}"), v) for i, (k, v) in enumerate(doors.items())}
    plain = fake("plain")
    addrs = [d.addr for d in doors.values()] + [plain.addr]
    m = manager(addrs, tls=identity, client=certs.client(), nodes=1)

    def errors():
        nodes = m.nodes()
        found = {k: nodes[d.addr].get("Error", "") for k, d in doors.items()}
        found["plain"] = nodes[plain.addr].get("Error", "")
        return all(text for k, text in found.items() if k != "good") and found

    found = wait_until(errors, "every bad engine to have a reason")
    assert m.status_of(doors["good"].addr) == "Healthy"
    assert found["good"] in ("", "(none)")
    assert "expired" in found["expired"]
    assert "not for 127.0.0.1 but for 10.9.9.9, elsewhere.example" in found["wrong name"]
    assert "not for 127.0.0.1 but for no name" in found["no name"]
    bad = [found[k] for k in ("wrong name", "expired", "strange", "plain")]
    assert len({t.replace(d, "") for t, d in zip(bad, addrs)}) == 4, "the reasons differ"
    for door in doors.values():
        door.close()


# ---- changing certificates ----


def certificate_of(m):
    context = http.tls_context(m.client)
    with socket.create_connection(("127.0.0.1", m.port), 5) as s:
        with context.wrap_socket(s, server_hostname="127.0.0.1") as tls:
            return tls.getpeercert(binary_form=True)


def copy_identity(identity, folder):
    """Files of its own, to be changed behind a running manager."""
    folder.mkdir(exist_ok=True)
    names = ("ca.pem", "cert.pem", "key.pem")
    for name in names:
        with open(f"{identity.dir}/{name}", "rb") as f:
            (folder / name).write_bytes(f.read())
    return Identity(str(folder), *(str(folder / name) for name in names))


def test_reload(manager, tls_engines, certs, tmp_path):
    """SIGHUP: new connections get the new certificate; streams that are open go on."""
    ours = copy_identity(certs.server("manager-a", ips=["127.0.0.1"]), tmp_path / "tls")
    m = manager(tls_engines, tls=ours, client=certs.client())
    first = certificate_of(m)
    container = m.run(Cmd=["cat"], OpenStdin=True, AttachStdin=True, StdinOnce=True)
    stream = m.connect()
    stream.send_request(
        "POST",
        f"/containers/{container}/attach?stream=1&stdin=1&stdout=1",
        headers={"Connection": "Upgrade", "Upgrade": "tcp"},
    )
    assert stream.read_head().status == 101
    stream.send("before\n")
    assert stream.read_until(b"before\n")
    idle = m.connect()
    assert idle.request("GET", "/_ping").status == 200

    copy_identity(certs.server("manager-b", ips=["127.0.0.1"]), tmp_path / "tls")
    m.send_signal(signal.SIGHUP)
    wait_until(lambda: certificate_of(m) != first, "the new certificate")
    stream.send("after\n")
    assert stream.read_until(b"after\n")
    assert idle.request("GET", "/_ping").status == 200
    stream.stream.shutdown_write()
    assert stream.read_to_end() == b""
    holds_for(
        lambda: {n["Status"] for n in m.nodes().values()} == {"Healthy"}, "healthy nodes", 1
    )
    assert m.node_of(m.run(Image=IMAGE)) in {e.name for e in tls_engines}
    stream.close()
    idle.close()


def test_reload_of_broken_files(manager, tls_engines, certs, tmp_path):
    """What cannot be read changes nothing, and the log says so."""
    ours = copy_identity(certs.server("manager-a", ips=["127.0.0.1"]), tmp_path / "tls")
    m = manager(tls_engines, tls=ours, client=certs.client())
    first = certificate_of(m)
    for name, text in (("cert.pem", "nonsense"), ("key.pem", ""), ("ca.pem", "nonsense")):
        good = (tmp_path / "tls" / name).read_bytes()
        (tmp_path / "tls" / name).write_text(text)
        lines = m.log().count(name)
        m.send_signal(signal.SIGHUP)
        wait_until(lambda: m.log().count(name) > lines, f"the log to name {name}")
        assert certificate_of(m) == first
        (tmp_path / "tls" / name).write_bytes(good)
    other = certs.server("manager-c", ips=["127.0.0.1"])
    with open(other.key, "rb") as f:
        (tmp_path / "tls" / "key.pem").write_bytes(f.read())
    m.send_signal(signal.SIGHUP)
    wait_until(lambda: "match" in m.log(), "the log to tell of the key")
    assert certificate_of(m) == first
    assert m.request("GET", "/_ping").status == 200


def test_many_reloads(manager, tls_engines, certs, tmp_path):
    ours = copy_identity(certs.server("manager-a", ips=["127.0.0.1"]), tmp_path / "tls")
    m = manager(tls_engines, tls=ours, client=certs.client())
    for _ in range(30):
        m.send_signal(signal.SIGHUP)
        assert m.request("GET", "/_ping").status == 200
    before = m.descriptors()
    for _ in range(30):
        m.send_signal(signal.SIGHUP)
        assert m.request("GET", "/containers/json").status == 200
    wait_until(lambda: m.descriptors() <= before + 10, "no descriptor to stay")
