#!/usr/bin/python3
"""`lab start --masters 3`: three masters on a stacked etcd; one may go, a snapshot holds them all, and they change their CA
together, etcd's too, and their service accounts' key; one moves to another address, and its etcd member with it."""
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


def _on(lab, node, step, **kw):
    return lab.shell(node, "bash", "-lc", f"lab certs rotate-ca {step}", **kw)


def _ca(lab, node):
    return lab.shell(node, "openssl", "x509", "-in", "/etc/kubernetes/pki/ca.crt", "-noout", "-fingerprint").strip()


def another_ca_for_all_masters(lab):
    nodes = ["node1", "node2", "node3"]
    old = {_ca(lab, n) for n in nodes}
    done = _on(lab, "node1", "all", check=False)
    check(done.returncode == 1 and "each of which takes each step" in done.stderr, done.stderr)
    out = _on(lab, "node2", "prepare")
    check("Next, on each of the other masters" in out and "node1 (its API server does not trust the new CA yet)" in out, out)
    done = _on(lab, "node2", "switch", check=False)
    check(done.returncode == 1 and "not all masters are ready" in done.stderr and "node3" in done.stderr, done.stderr)
    for step, order, last in (("prepare", ("node1", "node3"), "All nodes trust both CAs"),
                              ("switch", ("node3", "node1", "node2"), "All nodes have certificates of the new CA"),
                              ("finish", ("node1", "node2", "node3"), "Done.")):
        for node in order:
            out = _on(lab, node, step)
            check((last in out) == (node == order[-1]), f"{step} on {node}: {out}")
    fresh = {_ca(lab, n) for n in nodes}
    check(len(fresh) == 1 and len(old) == 1 and fresh != old, f"{old} {fresh}")
    check("not found" in lab.kubectl("get", "secret", "lab-ca-rotation", "-n", "kube-system", check=False).stderr, "the shared secret is still there")
    check(lab.ready_nodes() == nodes, str(lab.ready_nodes()))
    lab.kubectl("create", "configmap", "after-the-rotation")
    token = lab.kubectl("create", "token", "default").strip()
    addresses = {row[0]: row[1] for row in lab.nodes()}
    for node in nodes:  # each API server serves with the new CA, and takes what it signed
        lab.shell(node, "curl", "-sf", "--cacert", "/etc/kubernetes/pki/ca.crt", "-H", f"Authorization: Bearer {token}",
                  f"https://{addresses[node]}:6443/api")


def _steps(lab, command, order, step, last):
    for node in order:
        out = lab.shell(node, "bash", "-lc", command.replace("STEP", step))
        check((last in out) == (node == order[-1]), f"{step} on {node}: {out}")


def another_ca_for_etcd(lab):
    command, nodes = "lab certs rotate-ca STEP --ca etcd-ca", ["node1", "node2", "node3"]
    old = lab.shell("node1", "cat", "/etc/kubernetes/pki/etcd/ca.crt")
    # With a member away no other one is restarted: that would stop them all.
    (away,) = lab.pids("node3", "/usr/bin/etcd")
    lab.shell("node3", "kill", "-STOP", away)
    done = lab.shell("node1", "bash", "-lc", command.replace("STEP", "prepare"), check=False)
    lab.shell("node3", "kill", "-CONT", away)
    check(done.returncode == 1 and "etcd of node3 does not answer" in done.stderr, done.stdout + done.stderr)
    _steps(lab, command, nodes, "prepare", "All masters trust both CAs")
    lab.kubectl("create", "configmap", "in-the-middle")
    _steps(lab, command, ["node3", "node2", "node1"], "switch", "of all masters are of the new CA")
    _steps(lab, command, ["node2", "node1", "node3"], "finish", "Done.")
    fresh = {lab.shell(n, "cat", "/etc/kubernetes/pki/etcd/ca.crt") for n in nodes}
    check(len(fresh) == 1 and old not in fresh, "the CAs of etcd")
    for node in nodes:
        lab.shell(node, "openssl", "verify", "-CAfile", "/etc/kubernetes/pki/etcd/ca.crt", "/etc/kubernetes/pki/etcd/server.crt",
                  "/etc/kubernetes/pki/etcd/peer.crt", "/etc/kubernetes/pki/apiserver-etcd-client.crt")
    lab.kubectl("create", "configmap", "after-etcds")


def another_key_for_service_accounts(lab):
    command, nodes = "lab certs rotate-sa-key STEP", ["node1", "node2", "node3"]
    token = lab.kubectl("create", "token", "default").strip()
    asked = f"curl -s -o /dev/null -w '%{{http_code}}' -k -H 'Authorization: Bearer {token}' https://$(hostname -i | cut -d' ' -f1):6443/api"
    _steps(lab, command, nodes, "prepare", "Tokens of both keys are accepted")
    _steps(lab, command, ["node2", "node3", "node1"], "switch", "All pods have tokens of the new key")
    check({lab.shell(n, "bash", "-lc", asked) for n in nodes} == {"200"}, "a token of before, in the middle")
    _steps(lab, command, nodes, "finish", "Done.")
    check({lab.shell(n, "bash", "-lc", asked) for n in nodes} == {"401"}, "a token of before, at the end")
    check(len({lab.shell(n, "cat", "/etc/kubernetes/pki/sa.key") for n in nodes}) == 1, "the masters' keys differ")


def a_master_moves_and_its_etcd_member_follows(lab):
    old = {row[0]: row[1] for row in lab.nodes()}["node3"]
    new = old.rsplit(".", 1)[0] + ".231"
    for node in ("node1", "node2", "node3"):
        lab.shell(node, "bash", "-lc", f"sed 's/^{old}\\b/{new}/' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts")
    prefix = lab.shell("node3", "bash", "-lc", f"ip -br -4 addr show eth0 | grep -o '{old}/[0-9]*'").strip().split("/")[1]
    lab.shell("node3", "bash", "-lc", f"ip addr add {new}/{prefix} dev eth0; ip addr del {old}/{prefix} dev eth0; ip addr show dev eth0 | grep -q {new} || ip addr add {new}/{prefix} dev eth0")
    out = lab.shell("node3", "bash", "-lc", f"lab certs renew all --new-address {new}")
    check(f"etcd's members know this one at {new}" in out, out)
    members = lab.shell("node1", "bash", "-lc", "cd /etc/kubernetes/pki/etcd && curl -sf --cacert ca.crt --cert healthcheck-client.crt --key healthcheck-client.key "
                        "-d '{}' https://127.0.0.1:2379/v3/cluster/member/list")
    check(members.count(new) == 2 and old not in members, members)
    # Two of the three are a majority only with the one that has moved.
    lab.cmd("node stop", "node2")
    wait_for("a write through the one that has moved", lambda: lab.shell(
        "node3", "bash", "-lc", "kubectl --kubeconfig /etc/kubernetes/admin.conf --request-timeout=10s create configmap moved-$RANDOM"))


if __name__ == "__main__":
    main([three_masters_come_up, a_second_start_changes_nothing, the_first_may_go, a_snapshot_holds_them_all, another_ca_for_all_masters, another_ca_for_etcd,
          another_key_for_service_accounts, a_master_moves_and_its_etcd_member_follows], Lab(3))
