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
