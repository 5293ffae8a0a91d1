#!/usr/bin/python3
"""`lab start --isolated` and `--from`: labs alike, with the same addresses and keys, that neither see nor change each other."""
import glob
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, needed, run, wait_for  # noqa: E402

KILL_MOMENTS = (0.03, 0.3)  # seconds after which a start from a snapshot is killed
POD = ("run", "hello", "--image=busybox", "--image-pull-policy=Never", "--restart=Never", "--", "echo", "hello")


class Family(Lab):
    """A template, and the labs that were started from it."""

    def __init__(self):
        super().__init__(2)
        self.a, self.b = self.member("a"), self.member("b")

    def member(self, letter):
        lab = Lab(2)
        lab.profile = f"{self.profile}-{letter}"
        return lab

    def start_from(self, *members, snapshot="ready"):
        """All at once; the seconds that all of them took."""
        began = time.monotonic()
        children = [subprocess.Popen([LAB, "start", "-p", m.profile, "--from", f"{self.profile}/{snapshot}"], text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for m in members]
        for child in children:
            said, _ = child.communicate(timeout=300)
            check(child.returncode == 0, said)
        return time.monotonic() - began

    def delete(self):
        for one in (self.a, self.b, self.member("c")):
            one.delete()
        super().delete()


def _configmaps(lab):
    return {c["metadata"]["name"] for c in lab.get("configmaps", "-n", "default")["items"]}


def _image_sets():
    return glob.glob("/var/lib/lab/images/*")


@needed
def a_template(lab):
    lab.start("--isolated")
    check("is isolated" in run(LAB, "kubeconfig", "-p", lab.profile, check=False).stderr, "lab kubeconfig does not say so")
    lab.kubectl("create", "configmap", "of-the-template")
    lab.cmd("snapshot save", "ready")
    # Nothing of it stands in this machine's network.
    check(lab.profile not in run("ip", "-o", "link") and os.path.exists(f"/run/lab/{lab.profile}.net"), "its network is not apart")
    lab.cmd("stop")


@needed
def two_at_once(lab):
    print(f"      the first two, 2 nodes each, in {lab.start_from(lab.a, lab.b):.1f} s")
    check(lab.a.nodes() == lab.b.nodes() and len(lab.a.nodes()) == 2, f"{lab.a.nodes()} {lab.b.nodes()}")
    for one in (lab.a, lab.b):
        check(one.ready_nodes() == ["node1", "node2"], str(one.ready_nodes()))
        check("of-the-template" in _configmaps(one), str(_configmaps(one)))
    check(len(_image_sets()) >= 1, "they share no images")


def each_answers_its_own_kubectl(lab):
    lab.a.kubectl("create", "configmap", "of-a")
    lab.b.kubectl("create", "configmap", "of-b")
    check(_configmaps(lab.a) - _configmaps(lab.b) == {"of-a"} and _configmaps(lab.b) - _configmaps(lab.a) == {"of-b"},
          f"{_configmaps(lab.a)} {_configmaps(lab.b)}")
    lab.a.shell("node1", "sh", "-c", "echo a > /root/word")
    check(lab.b.shell("node1", "sh", "-c", "ls /root/word || true").strip() == "", "a file of the one is in the other")
    for one in (lab.a, lab.b):  # from the images that both have
        one.kubectl(*POD)
    for one in (lab.a, lab.b):
        wait_for("a pod of shared images", lambda one=one: one.kubectl("logs", "hello").strip() == "hello")


def neither_reaches_the_other(lab):
    """The same address is each lab's own; there is no route to anything else, and none from this machine's addresses."""
    address = lab.a.address()
    lab.b.shell("node1", "sh", "-c", "mkdir -p /tmp/www; echo b > /tmp/www/word; cd /tmp/www;"
                " setsid python3 -m http.server 8099 >/dev/null 2>&1 </dev/null &")
    ask = ("curl", "-s", "--max-time", "5", f"http://{address}:8099/word")
    wait_for("b's own page", lambda: lab.b.shell("node2", *ask, check=False).stdout.strip() == "b")
    for node in ("node1", "node2"):
        done = lab.a.shell(node, *ask, check=False)
        check(done.returncode == 7, f"from a's {node}: exit code {done.returncode}, {done.stdout}")  # refused: its own node1
    for one in (lab.a, lab.b):
        routes = run("nsenter", f"--net=/run/lab/{one.profile}.net", "ip", "-4", "route").splitlines()
        check(len(routes) == 1 and routes[0].startswith("192.168.77.0/24 dev lab-br0"), str(routes))
    with socket.create_server(("0.0.0.0", 0)) as here:
        port = here.getsockname()[1]
        for mine in run("hostname", "-I").split():
            if ":" in mine or mine.startswith("192.168.77."):
                continue
            done = lab.a.shell("node1", "curl", "-s", "--max-time", "2", f"http://{mine}:{port}/", check=False)
            check(done.returncode in (7, 28) and not select.select([here], [], [], 0)[0],
                  f"this machine's {mine} is reached from a node: exit code {done.returncode}")


def shared_images_cannot_be_written(lab):
    images = lab.a.shell("node1", "sh", "-c", "find /opt/lab/images -type f -name busybox | head -1").strip()
    check(images, "no file of the shared images is seen in the node")
    done = lab.a.shell("node1", "sh", "-c", f"echo evil >> {images}", check=False)
    check(done.returncode != 0 and "Read-only" in done.stderr, f"exit code {done.returncode}: {done.stderr}")


def back_to_the_beginning(lab):
    began = time.monotonic()
    lab.a.cmd("snapshot restore", "ready")
    print(f"      restored in {time.monotonic() - began:.1f} s")
    check("of-a" not in _configmaps(lab.a) and "of-the-template" in _configmaps(lab.a), str(_configmaps(lab.a)))
    check("of-b" in _configmaps(lab.b), "the other lab was touched")
    check(lab.a.shell("node1", "sh", "-c", "ls /root/word || true").strip() == "", "a later file is there")


def stopped_and_started(lab):
    lab.b.cmd("stop")
    run("umount", f"/run/lab/{lab.b.profile}.net")  # as after a restart of the machine
    lab.b.cmd("start", "--no-kubeconfig")
    check(lab.b.ready_nodes() == ["node1", "node2"] and "of-b" in _configmaps(lab.b), str(_configmaps(lab.b)))
    lab.b.cmd("snapshot save", "own")  # a lab that was started so is one to start others from
    c = lab.member("c")
    began = time.monotonic()
    run(LAB, "start", "-p", c.profile, "--from", f"{lab.b.profile}/own")
    print(f"      from that one's own snapshot in {time.monotonic() - began:.1f} s")
    check("of-b" in _configmaps(c) and c.ready_nodes() == ["node1", "node2"], str(_configmaps(c)))
    c.delete()


def killed_in_the_middle(lab):
    c = lab.member("c")
    for after in KILL_MOMENTS:
        child = subprocess.Popen([LAB, "start", "-p", c.profile, "--from", f"{lab.profile}/ready"], stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        time.sleep(after)
        child.send_signal(signal.SIGKILL)
        child.wait()
    lab.start_from(c)
    check(c.ready_nodes() == ["node1", "node2"] and "of-the-template" in _configmaps(c), str(c.ready_nodes()))
    c.delete()


def what_cannot_be_is_said(lab):
    def refused(*words):
        done = run(LAB, "start", *words, check=False)
        check(done.returncode == 1, f"{words}: exit code {done.returncode}")
        return done.stderr
    c = lab.member("c").profile
    check("no snapshot" in refused("-p", c, "--from", f"{lab.profile}/absent"), "an absent snapshot")
    check("there is no lab" in refused("-p", c, "--from", "absent-lab/ready"), "an absent lab")
    check("which snapshot" in refused("-p", c, "--from", lab.profile), "no snapshot was named")
    check("not started from" in refused("-p", lab.a.profile, "--from", f"{lab.b.profile}/own"), "a lab that is there already")
    check(not os.path.exists(f"/var/lib/lab/profiles/{c}.json"), "a refused start left a profile")


def the_images_go_with_the_last(lab):
    sets = json.load(open(f"/var/lib/lab/profiles/{lab.a.profile}.json"))["images"]
    check(len(sets) == 1, str(sets))
    super(Family, lab).delete()  # the template: those that began as it did go on
    lab.a.delete()
    check(os.path.exists(f"/var/lib/lab/images/{sets[0]}"), "images that are in use are gone")
    lab.b.kubectl("delete", "pod", "hello", "--now")
    lab.b.kubectl(*POD)
    wait_for("a pod of shared images", lambda: lab.b.kubectl("logs", "hello").strip() == "hello")
    lab.b.delete()
    check(not os.path.exists(f"/var/lib/lab/images/{sets[0]}"), "images that nobody uses are left")


if __name__ == "__main__":
    main([a_template, two_at_once, each_answers_its_own_kubectl, neither_reaches_the_other, shared_images_cannot_be_written,
          back_to_the_beginning, stopped_and_started, killed_in_the_middle, what_cannot_be_is_said,
          the_images_go_with_the_last], Family())
