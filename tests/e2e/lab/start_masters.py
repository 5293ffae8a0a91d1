#!/usr/bin/python3
"""`lab start --masters 3`: three masters on a stacked etcd; one may go, and a snapshot holds them all."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, wait_for  # noqa: E402


@needed
def three_masters_come_up(lab):
    out = lab.start("--masters", "3")
    check("2 further masters" in out, out)
    check(lab.ready_nodes() == ["node1", "node2", "node3"], str(lab.ready_nodes()))
    check(lab.cmd("status").count("apiserver: Running") == 3, lab.cmd("status"))
    leases = [l["metadata"]["name"] for l in lab.get("leases", "-n", "kube-system")["items"]]
    check(sum(n.startswith("kube-apiserver-") for n in leases) == 3, str(leases))
    lab.kubectl("create", "configmap", "kept")


def a_second_start_changes_nothing(lab):
    lab.start()
    done = lab.cmd("start", "--masters", "2", "--nodes", "3", "--no-kubeconfig", check=False)
    check(done.returncode == 1 and "has 3 masters" in done.stderr, done.stderr)
    done = lab.cmd("node delete", "node2", check=False)
    check(done.returncode == 1 and "is a master" in done.stderr, done.stderr)


def the_first_may_go(lab):
    lab.cmd("node stop", "node1")
    wait_for("an answer of the others", lambda: lab.kubectl("get", "configmap", "kept", "--request-timeout=5s"))
    lab.kubectl("create", "configmap", "without-the-first")
    wait_for("its loss is noticed", lambda: lab.ready_nodes() == ["node2", "node3"])
    lab.cmd("node start", "node1")
    wait_for("it is back", lambda: lab.ready_nodes() == ["node1", "node2", "node3"])


def a_snapshot_holds_them_all(lab):
    lab.cmd("snapshot save", "three")
    lab.kubectl("delete", "configmap", "kept")
    lab.cmd("snapshot restore", "three")
    check(lab.ready_nodes() == ["node1", "node2", "node3"], str(lab.ready_nodes()))
    lab.kubectl("get", "configmap", "kept")
    lab.kubectl("create", "configmap", "afterwards")


if __name__ == "__main__":
    main([three_masters_come_up, a_second_start_changes_nothing, the_first_may_go, a_snapshot_holds_them_all], Lab(3))
