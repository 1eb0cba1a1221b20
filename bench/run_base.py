"""One run of a program that measures: its processes, its folder, the program that it measures."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

from common import TOP, Process, build, die


def common_options(parser):
    parser.add_argument("--swarm", metavar="PATH",
                        help="this program, with bench/load beside it, instead of building one")
    parser.add_argument("--no-setup", action="store_true", help="install nothing")


class Bench:
    """Used by `with`, which ends what was started."""

    def __init__(self, options):
        self.options = options
        self.processes = []

    def __enter__(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self.folder = tempfile.mkdtemp(prefix="swarm-bench-")
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, argv, **more):
        process = Process(name, argv, self.folder, **more)
        self.processes.append(process)
        return process

    def install(self, *tools):
        if not self.options.no_setup:
            done = subprocess.run([f"{TOP}/scripts/setup", "--bench"], stdout=sys.stderr)
            if done.returncode != 0:
                die("scripts/setup --bench failed")
        os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin:/sbin"
        for tool in tools:
            if shutil.which(tool) is None:
                die(f"{tool} is missing; scripts/setup --bench installs it")

    def build(self):
        self.swarm = build(self.options.swarm, self.folder, "bench-programs")
        self.load_program = f"{os.path.dirname(self.swarm)}/bench/load"
