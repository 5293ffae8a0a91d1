#!/usr/bin/python3
"""The pod network as it is chosen when a cluster is made: encrypted and with the ring of addresses, which nodes that join
find out by themselves; and as a DaemonSet, whose pods prove themselves by the Secret of their manifest."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, wait_for  # noqa: E402


def _net(lab, what, *args, **options):
    return lab.cmd("net " + what, *args, **options)


def _connections(lab, node, text, count):
    lines = [line for line in _net(lab, "status", "connections", "--node", node).splitlines() if text in line]
    return lines if len(lines) == count else None


# As it is said where the kernel has WireGuard, and where it has not.
WAYS = ("WireGuard, in the kernel", "AES-256-GCM, through user space (this kernel has no WireGuard)")


def _encryption(way):
    return f"Encryption: on: {way}\n"


def _sh(lab, node, text, **kw):
    return lab.shell(node, "bash", "-lc", text, **kw)


@needed
def a_lab_that_encrypts_and_has_the_ring(lab):
    lab.start("--encrypt", "--ipam", "ring")


def the_status_says_so(lab):
    for node in ("node1", "node2"):
        wait_for("keys between the nodes", lambda: any(_encryption(w) in _net(lab, "status", "--node", node) for w in WAYS))
        check("Mode: ring" in _net(lab, "status", "--node", node), _net(lab, "status", "--node", node))


def a_node_that_joins_does_the_same(lab):
    lab.cmd("node add")
    for node in ("node1", "node2", "node3"):
        wait_for(f"encrypted ways of {node}", lambda: _connections(lab, node, " established encrypted ", 2))
    owners = wait_for("space for all", lambda: (lambda t: t.count(" IPs (") == 3 and " 0 IPs" not in t and t)(_net(lab, "status", "ipam")))
    check("node3" in owners, owners)


def pods_talk_and_are_not_read(lab):
    wait_for("a test without failures", lambda: _net(lab, "test", check=False).returncode == 0)
    check("state DOWN" in _sh(lab, "node1", "ip link show lab-vxlan"), "the kernel's path is up")


def it_cannot_be_changed_afterwards(lab):
    other = lab.cmd("start", "--no-kubeconfig", "--ipam", "podcidr", check=False)
    check(other.returncode != 0 and "cannot be changed" in other.stderr, other.stderr)


@needed
def empty_nodes(lab):
    lab.delete()
    lab.start("--no-init")


@needed
def a_cluster_without_a_pod_network(lab):
    out = _sh(lab, "node1", "lab init --apiserver-advertise-address $(hostname -i) --no-taint --skip-phases addon/overlay-net")
    found = re.search(r"kubeadm join (\S+) --token (\S+) \\\n\s*--discovery-token-ca-cert-hash (\S+)", out)
    check(found, out)
    _sh(lab, "node2", "kubeadm join {} --token {} --discovery-token-ca-cert-hash {}".format(*found.groups()))
    check(not lab.pids("node2", "/opt/lab/bin/lab overlay"), "the overlay runs as a service")


def the_manifest_brings_an_authenticated_mesh(lab):
    apply = "kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f /etc/kubernetes/addons/overlay-net.yaml"
    check("secret/overlay-net created" in _sh(lab, "node1", apply), "no Secret")
    check(_sh(lab, "node1", "stat -c %a /etc/kubernetes/addons/overlay-net.yaml").strip() == "600", "others may read the password")
    wait_for("both nodes Ready", lambda: len(lab.ready_nodes()) == 2)
    for node in ("node1", "node2"):
        wait_for(f"a connection of {node}", lambda: _connections(lab, node, " established ", 1))
    check("Listening: no" not in _net(lab, "status"), _net(lab, "status"))
    wait_for("a test without failures", lambda: _net(lab, "test", check=False).returncode == 0)
    again = _sh(lab, "node1", "lab init phase addon overlay-net && " + apply)
    check("secret/overlay-net unchanged" in again or "secret/overlay-net configured" in again, again)
    secret = lab.get("secret", "overlay-net", "-n", "kube-system")
    check(len(json.dumps(secret["data"])) > 80, secret)


if __name__ == "__main__":
    main([a_lab_that_encrypts_and_has_the_ring, the_status_says_so, a_node_that_joins_does_the_same, pods_talk_and_are_not_read,
          it_cannot_be_changed_afterwards, empty_nodes, a_cluster_without_a_pod_network, the_manifest_brings_an_authenticated_mesh],
         Lab(2))
