#!/usr/bin/python3
"""`lab store migrate`: a running lab's data goes into an etcd and back; objects, uids and pods stay, versions only rise."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, wait_for  # noqa: E402

ETCD = "http://127.0.0.1:2379"   # on the node's own loopback
POD = """
apiVersion: v1
kind: Pod
metadata: {name: stays}
spec:
  containers: [{name: c, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "100000"]}]
"""


def _migrate(lab, *flags, **kw):
    return lab.shell("node1", "lab", "store", "migrate", *flags, **kw)


def _refused(lab, *flags):
    done = _migrate(lab, *flags, check=False)
    check(done.returncode == 1, f"{flags}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stderr


def _objects(lab):
    """uid and content of what does not change by itself."""
    out = {}
    for kind in ("configmaps", "secrets", "clusterroles", "namespaces", "serviceaccounts", "pods"):
        for item in lab.get(kind, "--all-namespaces")["items"]:
            m = item["metadata"]
            out[kind, m.get("namespace"), m["name"]] = (m["uid"], m["creationTimestamp"], str(item.get("data")))
    return out


def _version(lab):
    return int(json.loads(lab.kubectl("get", "--raw", "/api/v1/pods?limit=1"))["metadata"]["resourceVersion"])


@needed
def runs(lab):
    lab.start()
    lab.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    lab.kubectl("apply", "-f", "-", stdin=POD)
    wait_for("the pod runs", lambda: lab.get("pod", "stays")["status"]["phase"] == "Running")
    lab.shell("node1", "sh", "-c", f"mkdir /var/lib/etcd-test; setsid etcd --data-dir /var/lib/etcd-test --listen-client-urls {ETCD} "
              f"--advertise-client-urls {ETCD} --listen-peer-urls http://127.0.0.1:2380 >/var/log/etcd-test.log 2>&1 </dev/null &")
    lab.objects, lab.version = _objects(lab), _version(lab)
    lab.container = lab.get("pod", "stays")["status"]["containerStatuses"][0]["containerID"]


def what_cannot_be_done_is_said(lab):
    check("the server runs" in _refused(lab, "--to", f"etcd={ETCD}"), "a running server")
    check("names no store" in _refused(lab, "--to", "elsewhere"), "an unknown store")
    check("is in embedded already" in _refused(lab, "--to", "embedded", "--from", "embedded"), "from where it is")
    check(_objects(lab) == lab.objects, "the data was touched")


def _as_it_was(lab):
    wait_for("the server answers", lambda: lab.kubectl("get", "nodes", "--request-timeout=5s"))
    check(_objects(lab) == lab.objects, "objects differ")
    version = _version(lab)
    check(version > lab.version, f"resource version {version} after {lab.version}")
    lab.version = version
    wait_for("the node is ready", lambda: lab.ready_nodes() == ["node1"])
    check(lab.get("pod", "stays")["status"]["containerStatuses"][0]["containerID"] == lab.container, "the pod was restarted")
    name = f"written-{version}"
    lab.kubectl("create", "configmap", name)
    lab.kubectl("delete", "configmap", name)


def into_etcd(lab):
    print("      " + _migrate(lab, "--to", f"etcd={ETCD}", "--stop-server").strip().splitlines()[-1])
    _as_it_was(lab)
    check(f"etcd={ETCD}" in lab.shell("node1", "sh", "-c", "tr '\\0' ' ' </proc/$(pgrep -f 'lab server' | head -1)/cmdline"), "the server uses another store")


def and_back(lab):
    print("      " + _migrate(lab, "--to", "embedded", "--stop-server").strip().splitlines()[-1])
    _as_it_was(lab)


def a_full_target_is_left_alone(lab):
    message = _refused(lab, "--to", f"etcd={ETCD}", "--stop-server")
    check("the target is not empty" in message and "etcdctl del" in message, message)
    _as_it_was(lab)   # the server that was stopped for it serves again


if __name__ == "__main__":
    main([runs, what_cannot_be_done_is_said, into_etcd, and_back, a_full_target_is_left_alone], Lab(1))
