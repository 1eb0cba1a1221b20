"""The program under test: swarm processes with their logs and what the sanitizers found."""

import glob
import json
import os
import re
import signal
import subprocess

from . import http
from .waiting import wait_until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def binary():
    path = os.environ.get("SWARM") or f"{TOP}/build/swarm"
    if not os.access(path, os.X_OK):
        raise RuntimeError(f"{path} is not there; build it, or say where it is by SWARM=PATH")
    return os.path.abspath(path)


def sanitizer_environment(folder):
    return {
        "ASAN_OPTIONS": f"log_path={folder}/san:exitcode=99:detect_leaks=1:abort_on_error=0:handle_abort=1"
        ":detect_stack_use_after_return=1:quarantine_size_mb=16",
        "UBSAN_OPTIONS": f"log_path={folder}/san:exitcode=99:print_stacktrace=1",
        "LSAN_OPTIONS": "exitcode=99",
    }


class Process:
    """One swarm process. Whatever ends it, stop() checks that no sanitizer complained."""

    _counter = 0

    def __init__(self, machine, args, env=None, wrapper=()):
        Process._counter += 1
        self.machine = machine
        self.args = [str(a) for a in args]
        self.folder = f"{machine.tmp}/swarm-{Process._counter}"
        os.makedirs(self.folder)
        self.log_path = f"{self.folder}/log"
        full = {k: v for k, v in os.environ.items() if not k.startswith("SWARM_")}
        full.update(sanitizer_environment(self.folder))
        full.update(env or {})
        with open(self.log_path, "wb") as log:
            self.process = machine.popen(
                [*wrapper, binary(), *self.args],
                env=full,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def is_running(self):
        return self.process.poll() is None

    def send_signal(self, number):
        self.process.send_signal(number)

    def complaints(self):
        """What sanitizers wrote, in their files or in the log."""
        found = []
        for path in glob.glob(f"{self.folder}/san*"):
            with open(path, errors="replace") as f:
                found.append(f.read())
        log = self.log()
        if re.search(r"runtime error:|AddressSanitizer|LeakSanitizer|Assertion .* failed", log):
            found.append(log)
        return "\n".join(found)

    def stop(self, timeout=15, signum=signal.SIGTERM):
        """Ends it in the orderly way, and checks that it was in order."""
        if self.process is None:
            return
        process, self.process = self.process, None
        alive = process.poll() is None
        if alive:
            process.send_signal(signum)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.wait()
            raise AssertionError(f"{self.args} did not end in {timeout} s:\n{self.log()[-4000:]}")
        complaints = self.complaints()
        assert not complaints, f"{self.args}:\n{complaints[:12000]}"
        assert alive, f"{self.args} ended by itself with status {status}:\n{self.log()[-4000:]}"
        assert status == 0, f"{self.args} exit status {status}:\n{self.log()[-4000:]}"

    def kill(self):
        """As a crash of the machine would."""
        self.process.kill()
        self.process.wait()
        self.process = None
        complaints = self.complaints()
        assert not complaints, complaints[:12000]

    def rss(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Manager(Process):
    """swarm manage with one listener (and a unix socket where asked for)."""

    def __init__(
        self,
        machine,
        discovery,
        *args,
        tls=None,
        client=None,
        unix=False,
        nodes=None,
        any_address=False,
        listening=True,
        env=None,
    ):
        """discovery: URL, or list of "ip:port". tls: its Identity (with --tlsverify); client: the
        Identity to talk to it. nodes: how many healthy ones to wait for (default: of the list).
        listening: wait until it answers."""
        if not isinstance(discovery, str):
            nodes = len(discovery) if nodes is None else nodes
            discovery = "nodes://" + ",".join(discovery)
        self.port = machine.free_ports()
        self.addr = f"127.0.0.1:{self.port}"
        self.tls, self.client = tls, client
        listen = f"0.0.0.0:{self.port}" if any_address else self.addr
        command = ["--debug", "manage", "-H", f"tcp://{listen}"]
        # What tests that write their own bytes say.
        command += ["--host-name", "x", "--host-name", "docker", "--origin", "http://localhost"]
        self.unix_path = None
        if unix:
            self.unix_path = f"{machine.tmp}/manager-{self.port}.sock"
            command += ["-H", f"unix://{self.unix_path}"]
        if tls:
            command += ["--tlsverify", f"--tlscacert={tls.ca}"]
            command += [f"--tlscert={tls.cert}", f"--tlskey={tls.key}"]
        command += [*args, "--discovery", discovery]
        super().__init__(machine, command, env)
        self.discovery = discovery
        try:
            if listening:
                self.wait_listening()
            if listening and nodes:
                self.wait_healthy(nodes)
        except BaseException:
            self.process.kill()
            self.process.wait()
            print(self.log()[-6000:])
            print(self.complaints()[:12000])
            raise

    @property
    def address(self):
        if self.tls:
            return ("tls", self.addr, self.client)
        return ("tcp", self.addr)

    @property
    def unix_address(self):
        return ("unix", self.unix_path)

    def wait_listening(self):
        def listening():
            if not self.is_running():
                raise RuntimeError(f"manager ended:\n{self.log()[-4000:]}")
            return self.request("GET", "/_ping", timeout=5).status == 200

        wait_until(listening, "the manager to listen", 20)

    # ---- requests ----

    def connect(self, timeout=15):
        return http.Connection(self.address, timeout)

    def request(self, method, target, body=None, headers=(), timeout=30):
        return http.request(self.address, method, target, body, headers, timeout)

    def json(self, method, target, body=None):
        reply = self.request(method, target, body)
        assert reply.status < 300, f"{method} {target}: {reply}"
        return json.loads(reply.body) if reply.body else None

    def create(self, name=None, expect=201, **config):
        """Creates a container; returns its ID, or the error's text when another status is
        expected."""
        config.setdefault("Image", "busybox")
        config.setdefault("Cmd", ["sleep", "1000"])
        target = "/containers/create" + (f"?name={name}" if name is not None else "")
        reply = self.request("POST", target, config)
        assert reply.status == expect, f"create {name}: {reply}"
        return reply.json()["Id"] if expect == 201 else reply.message()

    def run(self, name=None, **config):
        container = self.create(name, **config)
        reply = self.request("POST", f"/containers/{container}/start")
        assert reply.status == 204, reply
        return container

    def node_of(self, container):
        return self.json("GET", f"/containers/{container}/json")["Node"]["Name"]

    def ps(self, query="all=1"):
        """{"node/name": entry}"""
        entries = self.json("GET", f"/containers/json?{query}")
        return {entry["Names"][0].lstrip("/"): entry for entry in entries}

    def nodes(self):
        """{address: {"Name": ..., "Status": ..., ...}} from info's SystemStatus."""
        pairs = self.json("GET", "/info")["SystemStatus"]
        out, current = {}, None
        for key, value in pairs:
            if key.startswith(" ") and "└" not in key:
                current = {"Name": key.strip()}
                out[value] = current
            elif "└" in key and current is not None:
                current[key.split("└", 1)[1].strip()] = value
        return out

    def status_of(self, addr):
        return self.nodes()[addr]["Status"]

    def wait_healthy(self, count, timeout=30):
        def all_healthy():
            healthy = [n for n in self.nodes().values() if n["Status"] == "Healthy"]
            return len(healthy) == count

        try:
            wait_until(all_healthy, f"{count} healthy nodes", timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\nnodes: {self.nodes()}\n{self.log()[-3000:]}") from None

    def wait_status(self, addr, status, timeout=60):
        wait_until(lambda: self.status_of(addr) == status, f"{addr} to be {status}", timeout)


class Join(Process):
    def __init__(self, machine, advertise, discovery, *args):
        super().__init__(
            machine,
            ["--debug", "join", f"--advertise={advertise}", *args, "--discovery", discovery],
        )


class Simulator(Process):
    """swarm simulate: N engines in memory, on ports of one address, or (spread) addresses."""

    def __init__(self, machine, count, *args, base=None, spread=False):
        self.count = count
        self.base = base or machine.free_ports(1 if spread else count)
        first = f"tcp://127.{1 if spread else 0}.0.1:{self.base}"
        if spread:
            args = ("--spread-addresses", *args)
        super().__init__(machine, ["simulate", "--nodes", count, "--listen", first, *args])
        if spread:
            numbers = range(1, count + 1)
            self.addrs = [f"127.1.{n // 256}.{n % 256}:{self.base}" for n in numbers]
        else:
            self.addrs = [f"127.0.0.1:{self.base + i}" for i in range(count)]

        def answers():
            if not self.is_running():
                raise RuntimeError(f"simulator ended:\n{self.log()[-4000:]}")
            return http.request(("tcp", self.addrs[-1]), "GET", "/_ping").status == 200

        wait_until(answers, "the simulated engines to answer")


def run(machine, *args, env=None, timeout=20):
    """A command that is to end by itself: (exit status, stdout, stderr)."""
    Process._counter += 1
    folder = f"{machine.tmp}/run-{Process._counter}"
    os.makedirs(folder)
    full = {k: v for k, v in os.environ.items() if not k.startswith("SWARM_")}
    full.update(sanitizer_environment(folder))
    full.update(env or {})
    done = subprocess.run(
        [binary(), *map(str, args)],
        env=full,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=timeout,
    )
    for path in glob.glob(f"{folder}/san*"):
        with open(path, errors="replace") as f:
            raise AssertionError(f"{args}:\n{f.read()[:12000]}")
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(
        errors="replace"
    )
