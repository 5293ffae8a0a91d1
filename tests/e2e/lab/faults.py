#!/usr/bin/python3
"""What may be killed: a pod's process, the agent, containerd, the server, a whole node. The cluster heals, mining goes on,
and no acknowledged write is lost."""
import json
import os
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Failed, Lab, check, main, needed, wait_for  # noqa: E402


@needed
def mining(lab):
    lab.start()
    lab.deploy_dockercoins()
    lab.wait_mining()


def _node_of(lab, app):
    return lab.get("pods", "-l", f"app={app}")["items"][0]["spec"]["nodeName"]


def _kill(lab, node, program):
    pids = lab.pids(node, program)
    check(pids, f"no {program} runs on {node}")
    lab.shell(node, "kill", "-9", *pids)
    return pids


def pod_process_killed(lab):
    node = _node_of(lab, "rng")
    _kill(lab, node, "/rng")

    def restarted():
        pod = lab.get("pods", "-l", "app=rng")["items"][0]
        return pod["status"]["containerStatuses"][0]["restartCount"] >= 1 and pod["status"]["containerStatuses"][0]["ready"]
    wait_for("rng restarted", restarted)
    lab.wait_mining()


def agent_killed(lab):
    node = _node_of(lab, "worker")
    before = lab.pids(node, "/worker")
    _kill(lab, node, "/opt/lab/bin/lab agent")
    wait_for("the agent is back", lambda: lab.pids(node, "/opt/lab/bin/lab agent"))
    lab.wait_mining()
    check(lab.pids(node, "/worker") == before, "the worker was disturbed by its agent's end")


def overlay_killed(lab):
    for node, _, _ in lab.nodes():
        _kill(lab, node, "/opt/lab/bin/lab overlay")
    lab.wait_mining()
    for node, _, _ in lab.nodes():
        wait_for("the overlay is back", lambda: lab.pids(node, "/opt/lab/bin/lab overlay"))


def containerd_killed(lab):
    node = _node_of(lab, "hasher")
    _kill(lab, node, "/usr/bin/containerd --config")
    wait_for("containerd is back", lambda: lab.pids(node, "/usr/bin/containerd --config"))
    wait_for("all nodes ready", lambda: len(lab.ready_nodes()) == 3)
    lab.wait_mining()


def server_killed_under_writes(lab):
    acknowledged, stop = [], threading.Event()

    def write():
        tried = 0
        while len(acknowledged) < 400 and not stop.is_set():
            tried += 1
            name = f"ack-{tried}"
            done = lab.kubectl("create", "configmap", name, f"--from-literal=i={tried}", "--request-timeout=5s", check=False)
            if done.returncode == 0:
                acknowledged.append(name)
            else:
                stop.wait(0.3)  # the server is down: a refused connection costs nothing, and 400 of them would be over at once
    writer = threading.Thread(target=write)
    writer.start()
    master = lab.nodes()[0][0]
    try:
        for _ in range(3):
            goal = len(acknowledged) + 10
            wait_for("writes go on", lambda: len(acknowledged) >= goal)
            _kill(lab, master, "/opt/lab/bin/lab server")
        goal = len(acknowledged) + 10
        wait_for("writes go on after the last kill", lambda: len(acknowledged) >= goal)
    finally:
        stop.set()
        writer.join()
    have = {c["metadata"]["name"] for c in lab.get("configmaps")["items"]}
    lost = [n for n in acknowledged if n not in have]
    print(f"      {len(acknowledged)} acknowledged over three kills, {len(lost)} lost")
    check(not lost, f"lost: {lost}")
    lab.wait_mining()


def node_lost(lab):
    """A worker's node goes: its pods come up elsewhere. It returns: it is Ready again."""
    victim = lab.nodes()[1][0]
    lab.cmd("node stop", victim)
    wait_for(f"{victim} is not ready", lambda: victim not in lab.ready_nodes())

    def moved():
        running = [p for p in lab.get("pods")["items"] if p["status"]["phase"] == "Running" and not p["metadata"].get("deletionTimestamp")]
        return len(running) >= 5 and all(p["spec"]["nodeName"] != victim for p in running)
    wait_for("its pods are elsewhere", moved)
    lab.wait_mining()
    lab.cmd("node start", victim)
    wait_for(f"{victim} is back", lambda: victim in lab.ready_nodes())
    lab.wait_mining()


STATIC_POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, %s]
    volumeMounts: [{name: seen, mountPath: /seen}]
  volumes: [{name: seen, hostPath: {path: /var/tmp/static, type: DirectoryOrCreate}}]
"""


def pods_by_manifest_while_the_master_is_gone(lab):
    """The workers' agents and their pod network need no control plane to bring up pods that talk over nodes."""
    (master, *_), (serving, *_), (asking, *_) = lab.nodes()

    def run_pod(node, name, command):
        manifest = STATIC_POD % (name, json.dumps(command))
        lab.shell(node, "sh", "-c", "mkdir -p /etc/kubernetes/manifests && cat >/etc/kubernetes/manifests/static.yaml", stdin=manifest)

    def written(node, file):
        return lab.shell(node, "cat", f"/var/tmp/static/{file}", check=False).stdout.strip()
    lab.cmd("node stop", master)
    try:
        run_pod(serving, "serving", "echo over nodes >/tmp/word; hostname -i >/seen/address; exec httpd -f -p 8080 -h /tmp")
        address = wait_for("a pod by manifest", lambda: written(serving, "address"))
        run_pod(asking, "asking", f"until timeout 2 wget -qO /seen/answer http://{address}:8080/word; do sleep 0.3; done; sleep 3600")
        wait_for("an answer over nodes", lambda: written(asking, "answer") == "over nodes")
    finally:
        lab.cmd("node start", master)
    wait_for("mirrors of both", lambda: all(lab.get("pod", f"{name}-{node}")["status"]["phase"] == "Running"
                                            for name, node in (("serving", serving), ("asking", asking))))
    check(lab.get("pod", f"serving-{serving}")["status"]["podIP"] == address, "the pod was started anew")
    for node in (serving, asking):
        lab.shell(node, "sh", "-c", "rm -r /etc/kubernetes/manifests/static.yaml /var/tmp/static")
    wait_for("both are gone", lambda: not [p for p in lab.get("pods")["items"] if p["metadata"]["name"].startswith(("serving-", "asking-"))])
    wait_for("all nodes ready", lambda: len(lab.ready_nodes()) == 3)
    lab.wait_mining()


if __name__ == "__main__":
    main([mining, pod_process_killed, agent_killed, overlay_killed, containerd_killed, server_killed_under_writes, node_lost,
          pods_by_manifest_while_the_master_is_gone], Lab(3))
