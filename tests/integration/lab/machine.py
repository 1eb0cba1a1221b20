"""One run's share of this machine: a directory, a bridge with namespaces, a process mark.

Every run takes a free slot and holds it as long as it lives. What stands under a slot that can be
taken belongs to a run that died, and is removed. A slot is held by the name of an abstract socket:
it goes with the process, and is the same for everyone who shares the network, in whatever folder
they believe to be the root.
"""

import concurrent.futures
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from .waiting import wait_until

SLOTS = 8
# Ports of loopback that a slot has to itself: below those that the kernel gives to whoever asks, so
# that one can be chosen first and be listened on later.
FIRST_PORT, PORTS = 12000, 2500
RUN = "/run/swarm-lab"
DATA = "/var/lib/swarm-lab"
MARK = "SWARM_LAB_SLOT"
# What engines keep is gone with the run, and they wait for the disk at every step of a container: it
# is kept in memory where this much is free.
ROOMY = 8 << 30

_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    pr_set_pdeathsig = 1
    _libc.prctl(pr_set_pdeathsig, signal.SIGKILL)


def sh(*args, check=True, **kw):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(args)}: exit {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def _available_memory():
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable:"))


class Machine:
    def __init__(self):
        if os.geteuid() != 0:
            raise RuntimeError("the integration tests run real engines and must be root")
        os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
        # Engines and clients are written in Go, and many of them run: let them collect less often.
        os.environ.setdefault("GOGC", "400")
        self._hold = socket.socket(socket.AF_UNIX)
        for slot in range(SLOTS):
            try:
                self._hold.bind(f"\0swarm-lab-{slot}")
            except OSError:
                continue
            self.slot = slot
            break
        else:
            raise RuntimeError(f"all {SLOTS} slots of the lab are in use")
        self._spawner = concurrent.futures.ThreadPoolExecutor(1)
        self.run_dir = f"{RUN}/{self.slot}"
        self.data_dir = f"{DATA}/{self.slot}"
        self.prefix = f"swlab{self.slot}"
        self.cgroup = f"swarm-lab-{self.slot}"
        self.subnet = f"10.{187 + self.slot}.0"
        self.bridge_ip = f"{self.subnet}.1"
        self._next_port = 0
        self.clean()
        in_memory = _available_memory() > ROOMY
        for path in (self.run_dir, self.data_dir):
            # Mounts of its own, so that what engines mount in there stays with them.
            os.makedirs(path)
            if path == self.data_dir and in_memory:
                sh("mount", "-t", "tmpfs", "-o", f"size={ROOMY}", self.prefix, path)
            else:
                sh("mount", "--bind", path, path)
            sh("mount", "--make-private", path)
        self.tmp = tempfile.mkdtemp(prefix="tmp-", dir=self.run_dir)
        sh("ip", "link", "add", self.prefix, "type", "bridge")
        sh("ip", "addr", "add", f"{self.bridge_ip}/24", "dev", self.prefix)
        sh("ip", "link", "set", self.prefix, "up")

    # ---- processes ----

    def popen(self, args, env=None, **kw):
        """A process that dies with this one, and is found by clean() if it should not."""
        full = dict(os.environ if env is None else env)
        full[MARK] = self.prefix
        # The kernel takes the thread that made a process for its parent; so one that stays.
        return self._spawner.submit(
            subprocess.Popen, args, env=full, preexec_fn=_die_with_parent, **kw
        ).result()

    def _marked(self):
        mark = f"{MARK}={self.prefix}".encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark in f.read().split(b"\0") and int(pid) != os.getpid():
                        found.append(int(pid))
            except OSError:
                continue
        return found

    # ---- network ----

    def free_ports(self, count=1):
        """The first of so many ports in a row on which nobody listens on loopback. None comes again
        before all others of this run did."""
        for _ in range(PORTS):
            if self._next_port + count > PORTS:
                self._next_port = 0
            base = FIRST_PORT + self.slot * PORTS + self._next_port
            self._next_port += count
            with contextlib.ExitStack() as stack:
                try:
                    for port in range(base, base + count):
                        s = stack.enter_context(socket.socket())
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return base
        raise RuntimeError(f"no {count} free ports in a row")

    def add_namespace(self, name, host):
        """A network namespace with the address subnet.host; returns (path, IP)."""
        ns = f"{self.prefix}-{name}"
        ip = f"{self.subnet}.{host}"
        sh("ip", "netns", "add", ns)
        sh("ip", "link", "add", ns, "type", "veth", "peer", "name", "eth0", "netns", ns)
        sh("ip", "link", "set", ns, "master", self.prefix, "up")
        path = f"/run/netns/{ns}"
        # Not `ip -n`: it mounts, which a chroot does not let it do.
        inside = ("nsenter", f"--net={path}", "ip")
        sh(*inside, "addr", "add", f"{ip}/24", "dev", "eth0")
        sh(*inside, "link", "set", "eth0", "up")
        sh(*inside, "link", "set", "lo", "up")
        sh(*inside, "route", "add", "default", "via", self.bridge_ip)
        return path, ip

    def set_link(self, name, up):
        sh("ip", "link", "set", f"{self.prefix}-{name}", "up" if up else "down")

    # ---- the end ----

    def clean(self):
        for pid in self._marked():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not self._alive(), "the processes of an earlier run to end")
        with open("/proc/self/mounts") as f:
            mounts = [line.split()[1] for line in f]
        for path in reversed(mounts):
            if f"{path}/".startswith((f"{self.run_dir}/", f"{self.data_dir}/")):
                sh("umount", "-l", path, check=False)
        for line in sh("ip", "netns", "list", check=False).splitlines():
            if line.startswith(self.prefix + "-"):
                sh("ip", "netns", "del", line.split()[0], check=False)
        for link in os.listdir("/sys/class/net"):
            if link == self.prefix or link.startswith(self.prefix + "-"):
                sh("ip", "link", "del", link, check=False)
        for top, dirs, _ in os.walk("/sys/fs/cgroup"):
            if self.cgroup in dirs:
                for path, _, _ in os.walk(f"{top}/{self.cgroup}", topdown=False):
                    try:
                        os.rmdir(path)
                    except OSError:
                        pass
        for path in (self.run_dir, self.data_dir):
            shutil.rmtree(path, ignore_errors=True)

    def _alive(self):
        """Marked processes that are more than a zombie (those have no environment)."""
        return self._marked()

    def close(self):
        self.clean()
        self._spawner.shutdown()
        self._hold.close()
