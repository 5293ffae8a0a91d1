#!/usr/bin/python3
"""lab_bench: a lab of three nodes as its user meets it, in time and memory, beside what the same machine can do.

   LAB_BINARY=build/lab tests/bench/lab_bench.py

Times are of this run on this machine; the ratios beside them (to the time of 100 syncs of 4 KiB, taken in the same run)
are what may be compared between runs. Memory is PSS: what is shared between the nodes counts once.
"""
import os
import re
import statistics
import sys
import tempfile
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e/lib"))
from labtest import Failed, Lab, lab_processes, wait_for  # noqa: E402

NODES = 3
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - {name: web, image: "dockercoins/hasher:v0.1", imagePullPolicy: Never}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
"""


def hundred_syncs():
    with tempfile.NamedTemporaryFile(dir=".") as f:
        begun = time.monotonic()
        for _ in range(100):
            os.pwrite(f.fileno(), b"x" * 4096, 0)
            os.fdatasync(f.fileno())
        return time.monotonic() - begun


def timed(action):
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def answers(url):
    with urllib.request.urlopen(url, timeout=2) as answer:
        return answer.status == 200


def processes(profile):
    """pid -> what it is, for all processes of the lab."""
    out = {}
    for line in lab_processes(profile):
        pid, *argv = line.split()
        name = os.path.basename(argv[0]) if argv else "?"
        if name == "lab" and len(argv) > 1:
            name = f"lab {argv[1]}"
        out[pid] = name
    return out


def pss_mib(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as f:
            return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1)) / 1024
    except (OSError, AttributeError):
        return 0.0


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return 0.0


def table(title, rows):
    print(f"\n{title}")
    for row in rows:
        print("  " + "  ".join(str(c).ljust(w) for c, w in zip(row, (44, 14, 40))).rstrip())


def memory_and_idle(lab, seconds=20):
    known = processes(lab.profile)
    first = {pid: cpu_seconds(pid) for pid in known}
    time.sleep(seconds)
    total, groups = 0.0, {}
    for pid, name in known.items():
        mib, cpu = pss_mib(pid), (cpu_seconds(pid) - first[pid]) / seconds * 100
        count, mem, used = groups.get(name, (0, 0.0, 0.0))
        groups[name] = (count + 1, mem + mib, used + cpu)
        total += mib
    rows = [(f"{n} x {name}", f"{mem:.1f} MiB", f"{used:.2f}% of a core") for name, (n, mem, used) in
            sorted(groups.items(), key=lambda g: -g[1][1])]
    rows.append(("all", f"{total:.1f} MiB", f"{sum(g[2] for g in groups.values()):.2f}% of a core"))
    table(f"Idle for {seconds} s, {NODES} nodes", rows)


def hosts(row):
    """init and join on machines that have the images, until the API server says that the node is Ready."""
    lab = Lab(2)
    try:
        lab.start("--no-init")
        ready = ("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "wait", "--for=condition=Ready", "--timeout=120s")

        def node_ready(name):
            wait_for(f"{name} Ready", lambda: lab.shell("node1", *ready, f"node/{name}"), pause=0.02)

        def init():
            lab.shell("node1", "lab", "init")
            node_ready("node1")

        def join():
            lab.shell("node2", *command)
            node_ready("node2")
        row("lab init, to Ready", timed(init))
        command = lab.shell("node1", "lab", "token", "create", "--print-join-command").split()
        row("lab join, to Ready", timed(join))
        row("lab reset of the joined node", timed(lambda: lab.shell("node2", "lab", "reset", "--force")))
        row("lab join again, to Ready", timed(join))
    finally:
        lab.delete()


def main():
    lab, unit = Lab(NODES), hundred_syncs()
    print(f"this machine: 100 syncs of 4 KiB take {unit * 1000:.0f} ms")
    rows = []

    def row(what, seconds):
        rows.append((what, f"{seconds:.2f} s", f"{seconds / unit:.1f} x 100 syncs"))
    try:
        started = timed(lab.start)
        row(f"lab start --nodes {NODES}, to all Ready", started)
        memory_and_idle(lab)

        def dockercoins():
            lab.deploy_dockercoins()
            wait_for("the page", lab.webui, pause=0.02)
        deployed = timed(dockercoins)
        row("dockercoins deployed, to its page answering", deployed)
        row("both: from nothing to the page", started + deployed)

        def web():
            lab.kubectl("apply", "-f", "-", stdin=WEB)
            port = lab.get("service", "web")["spec"]["ports"][0]["nodePort"]
            wait_for("the service", lambda: answers(f"http://{lab.address()}:{port}/"), pause=0.02)
        row("kubectl apply of a Deployment + Service, to 200", timed(web))
        row("lab stop", timed(lambda: lab.cmd("stop")))
        row("lab start again, to all Ready", timed(lab.start))
        gets = [timed(lambda: lab.kubectl("get", "namespaces")) for _ in range(9)]
        alone = [timed(lambda: lab.kubectl("version", "--client")) for _ in range(9)]
        rows.append(("kubectl get namespaces, median", f"{statistics.median(gets):.3f} s",
                     f"{statistics.median(gets) / statistics.median(alone):.2f} x kubectl alone"))
    finally:
        row("lab delete", timed(lab.delete))
        hosts(row)
        table("Times", rows)


if __name__ == "__main__":
    try:
        main()
    except Failed as e:
        sys.exit(f"lab_bench: {e}")
