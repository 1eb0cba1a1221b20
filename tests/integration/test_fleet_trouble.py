"""A fleet whose engines come and go, under load, with a manager that is killed: bench/faults, short."""

import os
import subprocess

from lab.swarm import binary

FAULTS = os.path.abspath(f"{os.path.dirname(__file__)}/../../bench/faults")


def test_trouble_leaves_nothing_behind():
    """No request hangs, all nodes come back, the inventory is what engines have, names are free."""
    done = subprocess.run(
        [FAULTS, "--swarm", binary(), "--no-setup", "--nodes", "100", "--containers", "5",
         "--duration", "20", "--outages", "4", "--outage-time", "1", "--churn", "40", "--clients", "6",
         "--patience", "240"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=900)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.endswith("nothing is wrong\n")
