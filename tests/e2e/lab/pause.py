#!/usr/bin/python3
"""`lab pause`: everything stands still, nothing is lost, and nobody is lost afterwards; other verbs say so or let the lab go on."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, run, wait_for, LAB  # noqa: E402

# Longer than the silence after which this lab's master gives a node up (8 s) and than its pods tolerate that (5 s).
STILL = 16
POD = """
apiVersion: v1
kind: Pod
metadata: {name: clock}
spec:
  nodeName: node2
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "while true; do echo tick; sleep 0.2; done"]
"""


def _lab_fails(lab, command, *rest):
    done = lab.cmd(command, *rest, check=False)
    check(done.returncode == 1, f"lab {command}: exit code {done.returncode}")
    return done.stderr


def _ticks(lab):
    return lab.kubectl("logs", "clock").count("tick")


def _busy(lab):
    """Processor time that the lab's processes have taken, in clock ticks."""
    total = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if f"/lab/{lab.profile}/" in open(f"/proc/{pid}/cgroup").read():
                total += sum(map(int, open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
        except OSError:
            continue
    return total


@needed
def runs(lab):
    lab.start()
    lab.kubectl("apply", "-f", "-", stdin=POD)
    wait_for("ticks", lambda: _ticks(lab) > 2)


def _troubles(lab):
    """Events that tell of somebody given up, restarted or evicted."""
    return {e["metadata"]["name"]: e["reason"] + ": " + e["message"] for e in lab.get("events")["items"]
            if e["reason"] in ("NodeNotReady", "TaintManagerEviction", "Unhealthy")}


def everything_stands_still(lab):
    lab.troubles = _troubles(lab)
    lab.before = {"ticks": _ticks(lab), "pod": lab.get("pod", "clock"), "pids": lab.pids("node1", "/opt/lab/bin/lab server")}
    out = lab.cmd("pause")
    check("stand still" in out, out)
    check("paused already" in lab.cmd("pause"), "a second pause")
    status = lab.cmd("status")
    check(status.count("host: Paused") == 2 and "apiserver: Paused" in status, status)
    check([n[2] for n in lab.nodes()] == ["Paused", "Paused"], str(lab.nodes()))
    busy = _busy(lab)
    time.sleep(STILL)
    check(_busy(lab) == busy, f"processor time was taken: {busy} before, {_busy(lab)} after")


def other_verbs_say_so(lab):
    for command in (("shell", "node1", "true"), ("kubectl", "get", "nodes")):
        done = run(LAB, command[0], "-p", lab.profile, *command[1:], check=False, timeout=60)
        check(done.returncode != 0 and "is paused" in done.stderr and "lab unpause" in done.stderr, f"{command}: {done.stderr}")
    for command in (("node add",), ("node stop", "node2"), ("node delete", "node2"), ("node start", "node2")):
        check("is paused" in _lab_fails(lab, *command), str(command))
    check(len(lab.nodes()) == 2, "a node was added or deleted")


def nobody_is_lost_afterwards(lab):
    check("goes on" in lab.cmd("unpause"), "unpause")
    check("is not paused" in lab.cmd("unpause"), "a second unpause")
    wait_for("both nodes ready", lambda: len(lab.ready_nodes()) == 2)
    wait_for("ticks again", lambda: _ticks(lab) > lab.before["ticks"] + 3)
    # Longer than grace and toleration together: whoever had been given up would have been evicted by now.
    time.sleep(3)
    pod = lab.get("pod", "clock")
    for field in ("uid", "name"):
        check(pod["metadata"][field] == lab.before["pod"]["metadata"][field], "the pod is another one")
    check(pod["status"]["containerStatuses"][0]["restartCount"] == 0, "the container was restarted")
    new = {name: text for name, text in _troubles(lab).items() if name not in lab.troubles}
    check(not new, f"events: {new}")
    check(lab.pids("node1", "/opt/lab/bin/lab server") == lab.before["pids"], "the server was restarted")


def start_lets_it_go_on(lab):
    lab.cmd("pause")
    out = lab.start()
    check("[unpause]" in out, out)
    check(len(lab.ready_nodes()) == 2, str(lab.ready_nodes()))


def stop_works_on_a_paused_lab(lab):
    lab.cmd("pause")
    lab.cmd("stop")
    check([n[2] for n in lab.nodes()] == ["Stopped", "Stopped"], str(lab.nodes()))
    check("no node" in _lab_fails(lab, "pause"), "pause of a stopped lab")
    lab.start()
    check(len(lab.ready_nodes()) == 2, str(lab.ready_nodes()))


def delete_finds_it_paused(lab):
    """main() deletes the lab next, and compares the machine's state."""
    lab.cmd("pause")


if __name__ == "__main__":
    main([runs, everything_stands_still, other_verbs_say_so, nobody_is_lost_afterwards, start_lets_it_go_on, stop_works_on_a_paused_lab,
          delete_finds_it_paused], Lab(2))
