#!/usr/bin/python3
"""`lab snapshot`: what was there then is there again, and nothing of later; fast; and killed at any moment nothing is lost."""
import glob
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, needed, wait_for  # noqa: E402

# Seconds after which save and restore are killed.
SAVE_MOMENTS = (0.02, 0.05, 0.08, 0.12, 0.2)
RESTORE_MOMENTS = (0.05, 0.15, 0.3, 0.6, 1.0)
# A pod that keeps data in a hostPath and in an emptyDir: it writes a word only where there is none yet.
POD = """
apiVersion: v1
kind: Pod
metadata: {name: keeper}
spec:
  nodeName: node2
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "for d in /host /empty; do [ -e $d/word ] || echo first > $d/word; done; while true; do sleep 1; done"]
    volumeMounts: [{name: host, mountPath: /host}, {name: empty, mountPath: /empty}]
  volumes:
  - {name: host, hostPath: {path: /var/lib/keeper, type: DirectoryOrCreate}}
  - {name: empty, emptyDir: {}}
"""


def _base(lab):
    return f"/var/lib/lab/profiles/{lab.profile}"


def _container(lab):
    """Its id. Right after a restore that is still the snapshot's own, lab.container, which has ended with its node."""
    status = lab.get("pod", "keeper")["status"]["containerStatuses"][0]
    return status["containerID"] if status["ready"] else None


def _words(lab):
    return lab.kubectl("exec", "keeper", "--", "cat", "/host/word", "/empty/word").split()


def _write(lab, word):
    lab.kubectl("exec", "keeper", "--", "sh", "-c", f"echo {word} > /host/word; echo {word} > /empty/word")


def _snapshots(lab):
    return [s["name"] for s in json.loads(lab.cmd("snapshot list", "-o", "json"))]


def _no_leftovers(lab):
    left = glob.glob(_base(lab) + "/snapshots/.*") + glob.glob(_base(lab) + "/nodes.aside")
    check(not left, f"left behind: {left}")


def _fails(lab, command, *rest):
    done = lab.cmd(command, *rest, check=False)
    check(done.returncode == 1, f"lab {command} {rest}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stderr


@needed
def saved(lab):
    lab.start()
    lab.kubectl("apply", "-f", "-", stdin=POD)
    wait_for("the pod's words", lambda: _words(lab) == ["first", "first"])
    lab.kubectl("create", "configmap", "then", "--from-literal=a=1")
    lab.container, began = _container(lab), time.monotonic()
    print("      " + lab.cmd("snapshot save", "start").strip(), f"({time.monotonic() - began:.2f} s)")
    told = json.loads(lab.cmd("snapshot list", "-o", "json"))
    check([s["name"] for s in told] == ["start"], str(told))
    check(told[0]["sharedBytes"] > told[0]["copiedBytes"], f"images and layers were copied: {told}")
    _no_leftovers(lab)
    check(_container(lab) == lab.container, "saving restarted a container")
    check(lab.get("pod", "keeper")["status"]["containerStatuses"][0]["restartCount"] == 0, "saving restarted a container")


def restored(lab):
    """Objects, files of nodes, hostPath and emptyDir are those of then; what came later has gone, also a node."""
    _write(lab, "second")
    lab.kubectl("delete", "configmap", "then")
    lab.kubectl("create", "configmap", "later")
    lab.kubectl("create", "deployment", "later", "--image=busybox")
    lab.shell("node2", "sh", "-c", "echo later > /root/later")
    lab.cmd("node add")
    uid, began = lab.get("pod", "keeper")["metadata"]["uid"], time.monotonic()
    out = lab.cmd("snapshot restore", "start")
    print(f"      restored in {time.monotonic() - began:.2f} s: {out.strip().splitlines()[-1]}")
    check([n[0] for n in lab.nodes()] == ["node1", "node2"], str(lab.nodes()))
    check(lab.ready_nodes() == ["node1", "node2"], str(lab.ready_nodes()))
    wait_for("the pod runs anew", lambda: _container(lab) not in (None, lab.container))
    check(lab.get("pod", "keeper")["metadata"]["uid"] == uid, "it is another pod")
    check(_words(lab) == ["first", "first"], f"words: {_words(lab)}")
    names = {c["metadata"]["name"] for c in lab.get("configmaps")["items"]}
    check("then" in names and "later" not in names, str(names))
    check(not lab.get("deployments")["items"], "a later deployment is there")
    check(lab.shell("node2", "sh", "-c", "ls /root/later || true").strip() == "", "a later file is there")
    _no_leftovers(lab)
    lab.kubectl("run", "fresh", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "true")
    wait_for("a new pod runs", lambda: lab.get("pod", "fresh")["status"]["phase"] == "Succeeded")


def it_stays_what_it_was(lab):
    """What the restored lab writes does not reach the snapshot; also from a stopped and from a paused lab."""
    for prepare in ("stop", "pause"):
        _write(lab, "third")
        before = _container(lab)
        lab.cmd(prepare)
        lab.cmd("snapshot restore", "start")
        wait_for("the pod runs anew", lambda: _container(lab) not in (None, before, lab.container))
        check(_words(lab) == ["first", "first"], f"after {prepare}: {_words(lab)}")


def what_cannot_be_done_is_said(lab):
    message = _fails(lab, "snapshot restore", "absent")
    check("no snapshot \"absent\"" in message and "it has: start" in message, message)
    check("already" in _fails(lab, "snapshot save", "start"), "a second one of the same name")
    check("is no name" in _fails(lab, "snapshot save", "../evil"), "a bad name")
    manifest = _base(lab) + "/snapshots/start/manifest.json"
    text = open(manifest).read()
    try:
        with open(manifest, "w") as f:
            f.write(text.replace('"format": 1', '"format": 99'))
        check("format 99" in _fails(lab, "snapshot restore", "start"), "another format")
    finally:
        with open(manifest, "w") as f:
            f.write(text)
    index = _base(lab) + "/snapshots/start/node1.index"
    text = open(index, "rb").read()
    try:
        with open(index, "ab") as f:
            f.write(b"x")
        check("is damaged" in _fails(lab, "snapshot restore", "start"), "a damaged one")
    finally:
        with open(index, "wb") as f:
            f.write(text)
    check(len(lab.ready_nodes()) == 2, "the lab was touched")


def _kill_after(lab, seconds, *command):
    child = subprocess.Popen([LAB, *command, "--profile", lab.profile], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL


def a_killed_save_leaves_the_lab_as_it_was(lab):
    container, killed = _container(lab), 0
    for after in SAVE_MOMENTS:
        killed += _kill_after(lab, after, "snapshot", "save", "killed")
        wait_for("the lab goes on", lambda: all(n[2] == "Running" for n in lab.nodes()), limit=20)
        if "killed" in _snapshots(lab):
            lab.cmd("snapshot delete", "killed")
    check(killed > 0, "no save was killed: all were too fast")
    check(_container(lab) == container, "a container was restarted")
    lab.cmd("snapshot save", "killed")
    _no_leftovers(lab)
    check(_snapshots(lab) == ["start", "killed"], str(_snapshots(lab)))
    lab.cmd("snapshot delete", "killed")
    check(_snapshots(lab) == ["start"], str(_snapshots(lab)))


def a_killed_restore_is_completed(lab):
    """By the same command, or by the next start."""
    for i, after in enumerate(RESTORE_MOMENTS):
        _write(lab, "fourth")
        before = _container(lab)
        _kill_after(lab, after, "snapshot", "restore", "start")
        if i % 2:
            lab.cmd("snapshot restore", "start")
            expected = (["first", "first"],)
        else:
            lab.start()
            expected = (["first", "first"], ["fourth", "fourth"])  # killed before it had begun, it leaves the lab as it was
        wait_for("all nodes ready", lambda: lab.ready_nodes() == ["node1", "node2"])
        got = wait_for("the pod answers", lambda: _words(lab))
        check(got in expected, f"killed after {after} s: {got}")
        if expected == (["first", "first"],):
            wait_for("the pod runs anew", lambda: _container(lab) not in (None, before, lab.container))
        _no_leftovers(lab)


if __name__ == "__main__":
    main([saved, restored, it_stays_what_it_was, what_cannot_be_done_is_said,
          a_killed_save_leaves_the_lab_as_it_was, a_killed_restore_is_completed], Lab(2))
