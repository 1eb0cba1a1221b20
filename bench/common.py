"""What the programs that measure share: processes, building, the machine, tables."""

import os
import platform
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(HERE)
TICKS = os.sysconf("SC_CLK_TCK")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def die(text):
    say(text)
    sys.exit(1)


# ---- Processes ----


class Process:
    """One program, with what the kernel knows of it."""

    def __init__(self, name, argv, folder, **more):
        self.name = name
        self.log = f"{folder}/{name}.log"
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log, **more)
        self.pid = self.popen.pid

    def cpu(self):
        """Seconds of CPU, user and system, so far."""
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, field):
        """VmRSS or VmHWM, in bytes."""
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(rf"^{field}:\s+(\d+) kB", f.read(), re.M).group(1)) * 1024

    def check(self):
        if self.popen.poll() is not None:
            with open(self.log, errors="replace") as f:
                die(f"{self.name} ended with {self.popen.returncode}: {f.read()[-2000:]}")

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def median(values):
    return statistics.median(list(values))


def spread(values):
    values = list(values)
    return f"{min(values):.2f} to {max(values):.2f}"


# ---- The program ----


def build(swarm, folder, *targets):
    """Path of the program: the one given, or one built with optimisation and without sanitizers."""
    if swarm:
        swarm = os.path.abspath(swarm)
    else:
        tree = f"{TOP}/build-bench"
        swarm = f"{tree}/swarm"
        log = f"{folder}/build.log"
        with open(log, "wb") as out:
            def run(*argv, cwd):
                if subprocess.run(argv, cwd=cwd, stdout=out, stderr=out).returncode != 0:
                    with open(log, errors="replace") as f:
                        die(f"{' '.join(argv)} failed:\n{f.read()[-3000:]}")
            os.makedirs(tree, exist_ok=True)
            if not os.path.exists(f"{TOP}/configure"):
                run("./autogen.sh", cwd=TOP)
            if not os.path.exists(f"{tree}/Makefile"):
                run("../configure", "CFLAGS=-O2 -g", "CXXFLAGS=-O2 -g", cwd=tree)
            say("building")
            run("make", "-j", str(os.cpu_count()), "swarm", *targets, cwd=tree)
    if not os.access(swarm, os.X_OK):
        die(f"{swarm} is not there")
    return swarm


def commit():
    done = subprocess.run(["git", "-C", TOP, "describe", "--always", "--dirty"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "2"


def first_line(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.splitlines()[0]


def machine():
    with open("/proc/cpuinfo") as f:
        model = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
    with open("/proc/meminfo") as f:
        memory = int(re.search(r"MemTotal:\s+(\d+)", f.read()).group(1)) / 1024**2
    return (f"{os.cpu_count()} x {model.group(1) if model else platform.machine()}, "
            f"{memory:.1f} GiB, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}")


# ---- The table ----


def table(rows, head=("what", "measured", "expected")):
    rows = [head] + list(rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    rows.insert(1, tuple("-" * w for w in widths))
    return "".join("| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |\n"
                   for row in rows)


def record(program, text):
    """Puts it in front of what RESULTS.md has."""
    path = f"{HERE}/RESULTS.md"
    with open(path) as f:
        head, mark, rest = f.read().partition("\n## ")
    command = " ".join([program] + [a for a in sys.argv[1:] if a != "--record"])
    entry = f"\n## {time.strftime('%Y-%m-%d')}, `{command}`\n\n{text}"
    with open(path, "w") as f:
        f.write(head.rstrip("\n") + "\n" + entry + (mark + rest))


def haproxy_config(folder, port, engine, server=None, client=None):
    """The path of a configuration of HAProxy: a reverse proxy before one engine, and nothing more.
    server and client are files of certificate and key, for TLS on its two sides."""
    path = f"{folder}/haproxy.cfg"
    bind = f" ssl crt {server}" if server else ""
    to = " ssl verify none" if server else ""
    to += f" crt {client}" if client else ""
    with open(path, "w") as f:
        f.write(f"""global
	nbthread 1
	maxconn 1000
defaults
	mode http
	option http-keep-alive
	timeout connect 5s
	timeout client 60s
	timeout server 60s
frontend front
	bind 127.0.0.1:{port}{bind}
	default_backend back
backend back
	http-reuse always
	server engine {engine}{to}
""")
    return path


def wait_listening(port, check, seconds=10):
    """Until somebody listens there; check dies when it never will."""
    deadline = time.monotonic() + seconds
    while True:
        check()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                die(f"nobody listens on port {port}")
            time.sleep(0.02)
