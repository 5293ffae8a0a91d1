#!/usr/bin/python3
"""`lab start` killed at any moment: the next start completes it, and delete leaves the machine as it was."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, assert_same_state, check, machine_state, main  # noqa: E402

# Seconds after which start is killed: from before the first node to just before the end.
MOMENTS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.2, 1.6, 2.0, 2.5)


def _start_and_kill(lab, after):
    child = subprocess.Popen([LAB, "start", "--profile", lab.profile, "--nodes", "2", "--no-kubeconfig"],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    child.send_signal(signal.SIGKILL)
    child.wait()


def delete_after_a_kill_leaves_nothing(lab):
    before = machine_state(lab.profile)
    for after in MOMENTS:
        _start_and_kill(lab, after)
        lab.delete()
        assert_same_state(before, machine_state(lab.profile), lab.profile)


def start_after_a_kill_completes(lab):
    for after in MOMENTS[::3]:
        _start_and_kill(lab, after)
        lab.start()
        check(len(lab.ready_nodes()) == 2, f"ready: {lab.ready_nodes()}")
        lab.delete()


if __name__ == "__main__":
    main([delete_after_a_kill_leaves_nothing, start_after_a_kill_completes], Lab(2))
