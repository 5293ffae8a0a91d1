#!/usr/bin/python3
"""The pod network looked into: lab net status, report, test and trace on a real lab, whole and with the nodes cut off
from each other. The steps run in the lab of tools.py; by themselves they start one of their own."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, wait_for  # noqa: E402


def _net(lab, what, *args, **options):
    return lab.cmd("net " + what, *args, **options)


def _addresses_in_use(lab):
    return int(re.search(r"\((\d+) active\)", _net(lab, "status", "ipam")).group(1))


def _established(lab, node):
    return [line for line in _net(lab, "status", "connections", "--node", node).splitlines() if " established " in line]


@needed
def peers_are_connected_by_the_clusters_certificates(lab):
    for node, other in (("node1", "node2"), ("node2", "node1")):
        lines = wait_for(f"the connection of {node}", lambda: _established(lab, node))
        check(f" {other} mtu=" in lines[0], lines)
    report = json.loads(_net(lab, "report"))
    check(report["ready"] and report["apiServer"] == "connected" and len(report["mesh"]["peers"]) == 2, report)
    check("2 (with 2 established connections)" in _net(lab, "status"), _net(lab, "status"))


def the_name_server_is_asked(lab):
    out = _net(lab, "status", "dns", "--node", "node2")
    check("kubernetes.default.svc.cluster.local is 10.96.0.1" in out, out)


def all_pairs_are_tried(lab):
    before = _addresses_in_use(lab)
    out = wait_for("a test without failures", lambda: (lambda r: r.returncode == 0 and r.stdout)(_net(lab, "test", check=False)))
    rows = [line.split() for line in out.splitlines()[1:]]
    check(sorted((r[0], r[1]) for r in rows) == sorted((n, t) for n in ("node1", "node2") for t in ({"node1", "node2"} - {n}) | {"dns", "service"}), out)
    # Fewer than before are no fault of the test's: pods that an earlier step deleted give theirs back in their own time.
    wait_for("the test's addresses free again", lambda: _addresses_in_use(lab) <= before, 30)


def a_trace_tells_the_way(lab):
    for name, node in (("near", "node1"), ("far", "node2")):
        lab.kubectl("apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0,
                     "containers": [{"name": "c", "image": "busybox", "command": ["sleep", "3600"]}]}}))
    lab.kubectl("wait", "--for=condition=Ready", "pod/near", "pod/far", "--timeout=120s")
    address = lab.get("pod", "far")["status"]["podIP"]
    out = wait_for("the way through the kernel", lambda: (lambda t: "lab-vxlan on node1" in t and t)(_net(lab, "trace", "near", "far", check=False).stdout))
    steps = [line.split(None, 1)[1] for line in out.splitlines()[1:]]
    check(steps[0].startswith("eth0 of default/near") and steps[-1].startswith("eth0 of default/far"), out)
    check(any("which is behind" in s for s in steps) and address in out, out)
    wrong = _net(lab, "trace", "near", "nobody", check=False)
    check(wrong.returncode == 1 and "nobody" in wrong.stderr, wrong.stderr)


def a_cut_is_told(lab):
    far = lab.get("node", "node2")["status"]["addresses"][0]["address"]
    lab.shell("node1", "sh", "-c", "nft add table ip cut && nft add chain ip cut in '{ type filter hook input priority 0; }' && "
              f"nft add rule ip cut in ip saddr {far} udp dport '{{ 6783, 6784 }}' drop")
    try:
        out = wait_for("a failed test", lambda: (lambda r: r.returncode == 1 and r.stdout)(_net(lab, "test", check=False)))
        check("let through between the nodes?" in out or "do not reach each other" in out, out)
    finally:
        lab.shell("node1", "nft", "delete", "table", "ip", "cut")
    wait_for("a test without failures", lambda: _net(lab, "test", check=False).returncode == 0)
    lab.kubectl("delete", "pod", "near", "far", "--wait=false")


STEPS = [peers_are_connected_by_the_clusters_certificates, the_name_server_is_asked, all_pairs_are_tried, a_trace_tells_the_way,
         a_cut_is_told]

if __name__ == "__main__":
    @needed
    def a_lab(lab):
        lab.start()
    main([a_lab] + STEPS, Lab(2))
