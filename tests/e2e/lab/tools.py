#!/usr/bin/python3
"""The tools around a lab: logs of the daemons, files in and out, images built, loaded and listed, kubectl top; and, since
a lab is there, NetworkPolicies."""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
import net  # noqa: E402
import policy  # noqa: E402
import webhook  # noqa: E402
from labtest import LAB, Lab, check, main, needed, wait_for  # noqa: E402


@needed
def a_lab_with_something_to_measure(lab):
    out = lab.start()  # without touching the user's kubeconfig, and it says so
    check(f"lab kubectl -p {lab.profile} get nodes" in out and "kubectl is configured" not in out, out)
    busy = "while true; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.2; done"
    lab.kubectl("run", "busy", "--image=busybox", "--labels=app=busy", "--", "sh", "-c", busy)
    lab.kubectl("run", "idle", "--image=busybox", "--labels=app=idle", "--", "sleep", "3600")
    lab.kubectl("wait", "--for=condition=Ready", "pod/busy", "pod/idle", "--timeout=120s")


def logs(lab):
    out = lab.cmd("logs", "--tail", "5")
    for daemon in ("lab-server", "lab-agent", "containerd"):
        check(re.search(rf"^{daemon} +\| ", out, re.M), f"nothing of {daemon}:\n{out}")
    one = lab.cmd("logs", "--node", "node2", "--tail", "3", "lab-agent")
    check(1 <= len(one.splitlines()) <= 3 and " | " not in one, one)
    total = int(lab.shell("node1", "sh", "-c", "wc -l </var/log/lab/containerd.log"))
    shown = len(lab.cmd("logs", "--tail", "0", "containerd").splitlines())
    check(total > 10 and shown >= total, f"--tail 0 gives {shown} of {total} lines")
    check(len(lab.cmd("logs", "--tail", "7", "containerd").splitlines()) == 7, "--tail 7 does not give 7 lines")
    both = lab.cmd("logs", "--node", "node1", "--node", "node2", "--tail", "1", "lab-agent")
    check("node1 lab-agent | " in both and "node2 lab-agent | " in both, both)
    wrong = lab.cmd("logs", "lab-nothing", check=False)
    check(wrong.returncode == 1 and "lab-agent" in wrong.stderr, wrong.stderr)


def logs_follow(lab):
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen([LAB, "logs", "-p", lab.profile, "--tail", "1", "-f", "mark"], stdout=out, stderr=subprocess.STDOUT)
        child.wait()  # there is no such log yet
        check(child.returncode == 1, "a log that is not there was followed")
        lab.shell("node1", "sh", "-c", "echo first >/var/log/lab/mark.log")
        child = subprocess.Popen([LAB, "logs", "-p", lab.profile, "--tail", "1", "-f", "mark"], stdout=out, stderr=subprocess.STDOUT)

        def said(text):
            out.seek(0)
            return text in out.read()
        try:
            wait_for("the last line", lambda: said("first\n"))
            lab.shell("node1", "sh", "-c", "echo second >>/var/log/lab/mark.log")
            wait_for("a line as it comes", lambda: said("second\n"))
            lab.shell("node1", "sh", "-c", "mv /var/log/lab/mark.log /var/log/lab/old; echo third >/var/log/lab/mark.log")
            wait_for("a line of the file that took its place", lambda: said("third\n"))
            check(child.poll() is None, "it ended by itself")
        finally:
            child.terminate()
            child.wait()


def copies(lab):
    with tempfile.TemporaryDirectory() as here:
        source, back = os.path.join(here, "data"), os.path.join(here, "back")
        content = os.urandom(300_000)
        with open(source, "wb") as f:
            f.write(content)
        os.chmod(source, 0o750)
        lab.cmd("cp", source, "node1:/root/")
        lab.cmd("cp", "node1:/root/data", "node2:/tmp/copied")
        check(lab.shell("node2", "stat", "-c", "%a %s", "/tmp/copied").strip() == "750 300000", "mode or size")
        lab.cmd("cp", "node2:/tmp/copied", back)
        with open(back, "rb") as f:
            check(f.read() == content, "the file came back different")
        # A link of the node is followed in the node, not on this machine.
        lab.shell("node1", "sh", "-c", f"ln -sf {source} /root/link; ln -sfn / /root/top")
        check(lab.cmd("cp", "node1:/root/link", back, check=False).returncode == 1, "a link led out of the node")
        lab.cmd("cp", "node1:/root/top/etc/hostname", back)
        with open(back) as f:
            check(f.read().strip() == "node1", "not the node's own hostname")
        for wrong, word in (((source, back), "NODE:PATH"), ((source, "node1:relative"), "must begin with /"),
                            ((source, "node9:/tmp/x"), "node9"), (("node1:/root/none", back), "No such file"),
                            (("node1:/etc", back), "not a file"), ((source, "node1:/none/x"), "mkdir")):
            done = lab.cmd("cp", *wrong, check=False)
            check(done.returncode != 0 and word in done.stderr, f"{wrong}: {done.stderr}")


def image_build(lab):
    with tempfile.TemporaryDirectory() as here:
        def write(name, text):
            with open(os.path.join(here, name), "w") as f:
                f.write(text)
        write("page.txt", "built here\n")
        write("Dockerfile", "ARG BASE=busybox\nFROM ${BASE} AS first\nRUN mkdir /made && echo by-run >/made/file\n"
                            "FROM busybox\nENV WHO=env\nWORKDIR /app\nCOPY page.txt .\nADD page.txt /added.txt\nCOPY --from=first /made /made\n"
                            "EXPOSE 80\nUSER nobody\nENTRYPOINT [\"sh\", \"-c\"]\n"
                            "CMD [\"cat page.txt /added.txt /made/file; echo $WHO; id -un; pwd\"]\n")
        out = lab.cmd("image build", "-t", "e2e/hello:v1", here)
        check("docker.io/e2e/hello:v1" in out, out)
        lab.kubectl("run", "hello", "--image=e2e/hello:v1", "--restart=Never")
        said = wait_for("the image's output", lambda: lab.kubectl("logs", "hello"))
        check(said.split("\n")[:6] == ["built here", "built here", "by-run", "env", "nobody", "/app"], said)
        write("Scratch", "FROM scratch\nCOPY page.txt /page.txt\n")
        lab.cmd("image build", "-t", "nothing:v1", "-f", os.path.join(here, "Scratch"), here)

        write("Wrong", "FROM python:3.12\nRUN touch /nope\n")
        done = lab.cmd("image build", "-t", "x", "-f", os.path.join(here, "Wrong"), here, check=False)
        check(done.returncode == 1 and "python:3.12" in done.stderr and "busybox" in done.stderr and "lab image load" in done.stderr, done.stderr)
        write("Fails", "FROM busybox\nRUN echo before; exit 3\n")
        done = lab.cmd("image build", "-t", "x", "-f", os.path.join(here, "Fails"), here, check=False)
        check(done.returncode == 1 and "before" in done.stdout, done.stdout + done.stderr)
    check(not os.path.exists("/var/lib/lab/build"), "the build's storage is left")


def image_list_and_load(lab):
    listed = lab.cmd("image list")
    check(listed.count("docker.io/e2e/hello:v1") == lab.count and listed.count("docker.io/library/nothing:v1") == lab.count, listed)
    lab.shell("node1", "ctr", "-n", "k8s.io", "images", "export", "/root/hello.tar", "docker.io/e2e/hello:v1")
    with tempfile.TemporaryDirectory() as here:
        archive = os.path.join(here, "hello.tar")
        lab.cmd("cp", "node1:/root/hello.tar", archive)
        lab.shell("node2", "ctr", "-n", "k8s.io", "images", "rm", "docker.io/e2e/hello:v1")
        check(lab.cmd("image list").count("docker.io/e2e/hello:v1") == lab.count - 1, "the image was not removed")
        lab.cmd("image load", archive)
        check(lab.cmd("image list").count("docker.io/e2e/hello:v1") == lab.count, "the archive was not loaded")


def millicores(text):
    return int(text[:-1]) if text.endswith("m") else 1000 * int(text)


def top_nodes(lab):
    rows = [line.split() for line in lab.kubectl("top", "nodes", "--no-headers").splitlines()]
    check(sorted(r[0] for r in rows) == ["node1", "node2"], rows)
    for row in rows:
        check(millicores(row[1]) > 0 and row[2].endswith("%") and row[3].endswith("Mi") and row[4].endswith("%"), row)
    check(rows[0][3] != rows[1][3], f"both nodes tell the whole machine's memory: {rows}")
    check(lab.kubectl("top", "node", "node2", "--no-headers").startswith("node2 "), "one node by name")


def top_pods(lab):
    def use():
        rows = [line.split() for line in lab.kubectl("top", "pods", "--no-headers").splitlines()]
        found = {r[0]: millicores(r[1]) for r in rows}
        return found if {"busy", "idle"} <= set(found) else None
    found = wait_for("both pods", use)
    check(found["busy"] > 20 and found["busy"] > 5 * found["idle"], found)
    first = lab.kubectl("top", "pods", "--sort-by=cpu", "--no-headers").splitlines()[0]
    check(first.startswith("busy "), first)
    selected = lab.kubectl("top", "pods", "-l", "app=idle", "--no-headers").splitlines()
    check(len(selected) == 1 and selected[0].startswith("idle "), selected)
    check(lab.kubectl("top", "pods", "-A", "--containers").split("\n")[0].split() ==
          ["NAMESPACE", "POD", "NAME", "CPU(cores)", "MEMORY(bytes)"], "columns")
    check("PodMetrics" in lab.kubectl("api-resources"), "api-resources")
    # What was measured by another way: the rate over a few seconds of the container's own cgroup.
    def spent():
        return lab.kubectl("exec", "busy", "--", "cat", "/proc/1/stat").split()
    a, begun = spent(), time.monotonic()
    time.sleep(6)
    b, passed = spent(), time.monotonic() - begun
    ticks = sum(int(b[i]) - int(a[i]) for i in (13, 14))
    measured, told = 1000 * ticks / os.sysconf("SC_CLK_TCK") / passed, use()["busy"]
    check(0.4 * measured < told < 2.5 * measured, f"told {told}m, measured {measured:.0f}m")


if __name__ == "__main__":
    main([a_lab_with_something_to_measure, logs, logs_follow, copies, image_build, image_list_and_load, top_nodes, top_pods] + policy.STEPS + net.STEPS + webhook.STEPS, Lab(2))
