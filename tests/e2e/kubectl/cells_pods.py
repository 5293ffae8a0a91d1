"""Inside pods: logs, exec, attach, cp, run, debug."""
import hashlib
import json
import os
import re
import time

from harness import cell, check

LINES = "".join(f"line {i}\n" for i in range(1, 6))


@cell("logs, --tail, --since, --timestamps, --limit-bytes")
def logs(k):
    k.until("to stderr", "logs", "talker", "-c", "loud")
    out = k.until("line 5", "logs", "talker", "-c", "loud")   # the two streams reach the log in either order
    check(out.replace("to stderr\n", "") == LINES, out)
    check(k.ok("logs", "shell") == "", "a pod that said nothing")
    check(len(k.ok("logs", "talker", "loud", "--tail=2").splitlines()) == 2, "--tail=2")
    check(len(k.ok("logs", "talker", "-c", "loud", "--since=5h").splitlines()) == 6, "--since=5h")
    check(k.ok("logs", "talker", "-c", "loud", "--since-time=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))) == "", "--since-time")
    k.ok("logs", "talker", "-c", "loud", "--timestamps", has=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d) line 1$")
    check(len(k.ok("logs", "talker", "-c", "loud", "--limit-bytes=9")) == 9, "--limit-bytes")


@cell("logs -c, --all-containers, -l, of a Deployment or Job")
def logs_of(k):
    k.says("quiet says hello", "logs", "talker", "-c", "quiet")
    k.ok("logs", "talker", "--all-containers", has=["^line 1$", "^quiet says hello$"])
    k.ok("logs", "-l", "app=talker", "--all-containers", "--prefix", has=[r"^\[pod/talker/quiet\] quiet says hello$"])
    k.ok("logs", "job/once", has="^job is done$")
    k.ok("logs", "deploy/web")
    if k.minor >= 28:
        r = k.run("logs", "talker")
        check(r.code == 0 and "Defaulted container" in r.err and "line 1" in r.out, f"{r}")
    else:
        r = k.run("logs", "talker")
        check("a container name must be specified for pod talker, choose one of: [loud quiet]" in r.err or "Defaulted container" in r.err, f"{r}")
    k.fails("container nine is not valid for pod talker", "logs", "talker", "-c", "nine")
    k.fails(r'[Ee]rror from server \(NotFound\): pods "nobody" not found', "logs", "nobody")


@cell("logs --previous, of a container that waits")
def logs_previous(k):
    k.until("[1-9]", "get", "pod", "crasher", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
    k.says("about to crash", "logs", "crasher", "--previous")
    k.fails('previous terminated container "loud" in pod "talker" not found', "logs", "talker", "-c", "loud", "--previous")
    k.fails(r'^Error from server \(BadRequest\): container "main" in pod "stuck" is waiting to start: ErrImageNeverPull$', "logs", "stuck")


@cell("logs -f")
def logs_follow(k):
    k.apply("{apiVersion: v1, kind: Pod, metadata: {name: ticker}, spec: {restartPolicy: Never, containers: [{name: main, image: busybox, "
            "imagePullPolicy: IfNotPresent, command: [sh, -c, 'echo tick 0; until [ -e /go ]; do sleep 0.1; done; for i in 1 2 3; do echo tick $i; sleep 0.2; done; exit 4']}]}}")
    k.ok("wait", "--for=condition=Ready", "pod/ticker", "--timeout=80s")
    with k.start("logs", "-f", "ticker") as f:
        f.expect("^tick 0$")
        k.ok("exec", "ticker", "--", "touch", "/go")
        text = f.ended(0)   # of itself, when the container has ended
        check(text == "tick 0\ntick 1\ntick 2\ntick 3\n", text)
    with k.start("logs", "-f", "--tail=1", "talker", "-c", "quiet") as f:
        f.expect("^quiet says hello$")
        f.interrupt()
    k.until("Error", "get", "pod", "ticker")
    k.ok("delete", "pod", "ticker")


@cell("exec: exit code, containers, errors")
def exec_code(k):
    k.says("hello", "exec", "talker", "-c", "quiet", "--", "echo", "hello")
    k.fails("command terminated with exit code 7", "exec", "shell", "--", "sh", "-c", "exit 7", code=7)
    r = k.run("exec", "shell", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    check(r.code == 3 and r.out == "out\n" and r.err.startswith("err\n"), f"{r}")
    k.ok("exec", "deploy/web", "--", "hostname", has="^web-")
    k.says("a  b\nc", "exec", "shell", "--", "printf", "%s\n", "a  b", "c")
    r = k.run("exec", "shell", "--", "/no/such/program")
    check(r.code != 0 and re.search("/no/such/program.*[Nn]o such file or directory", r.err), f"{r}")
    k.fails(r'Error from server \(NotFound\): pods "nobody" not found', "exec", "nobody", "--", "true")
    k.fails("container nine is not valid for pod talker|container not found", "exec", "talker", "-c", "nine", "--", "true")
    k.ok("exec", "shell", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/namespace", has=f"^{k.ns}$")


@cell("exec -i: stdin with end of input")
def exec_stdin(k):
    k.says("to cat", "exec", "-i", "shell", "--", "cat", input="to cat")
    data = os.urandom(1 << 20)
    said = k.ok("exec", "-i", "shell", "--", "sha256sum", input=data)
    check(said.split()[:1] == [hashlib.sha256(data).hexdigest()], f"1 MiB through stdin: {said!r}")
    k.fails("exit code 5", "exec", "-i", "shell", "--", "sh", "-c", "cat >/dev/null; exit 5", input="x", code=5)
    out = k.ok("exec", "shell", "--", "sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo number $i; i=$((i+1)); done")
    check(out == "".join(f"number {i}\n" for i in range(20000)), f"{len(out)} bytes of output")


@cell("exec -it: a terminal")
def exec_tty(k):
    with k.terminal("exec", "-it", "shell", "--", "sh") as t:
        t.expect(r"/ # ")
        t.send("tty; stty size\r")
        t.expect(r"^/dev/pts/\d+\r?$")
        t.expect(r"^40 120\r?$")
        t.send("echo $((6*7))\r")
        t.expect(r"^42\r?$")
        t.send("sh -c 'echo sl''eeping; sleep 1000'\r")
        t.expect("^sleeping")
        t.send("\x03")   # Ctrl-C reaches the program inside, not kubectl
        t.expect(r"\^C")
        t.send("exit 9\r")
        t.ended(9)


@cell("attach")
def attach(k):
    with k.start("attach", "-i", "shell") as a:
        for word in ("one", "two"):
            deadline = time.monotonic() + 60
            while f"heard {word}" not in a.text and time.monotonic() < deadline:
                a.send(f"{word}\n")   # what is sent before the stream stands may come late, not get lost
                try:
                    a.expect(f"heard {word}", 5)
                except Exception:  # noqa: BLE001
                    continue
            a.expect(f"^heard {word}$", 1)
        a.interrupt()
    k.ok("logs", "shell", has=["^heard one$", "^heard two$"])
    check(k.get("pod/shell", ".status.containerStatuses[0].restartCount") == "0", "detaching ends nothing")


@cell("cp: files and folders, both ways")
def cp(k):
    data = os.urandom(300_000)
    k.file("up.bin", data)
    k.ok("cp", "up.bin", "shell:/tmp/there.bin")
    k.ok("cp", "shell:/tmp/there.bin", "down.bin")
    with open(k.file("down.bin"), "rb") as f:
        check(f.read() == data, "the file came back changed")
    os.makedirs(k.file("folder/sub"), exist_ok=True)
    k.file("folder/sub/leaf", "leaf\n")
    k.ok("cp", "folder", f"{k.ns}/talker:/tmp/", "-c", "quiet")
    k.says("leaf", "exec", "talker", "-c", "quiet", "--", "cat", "/tmp/folder/sub/leaf")
    k.ok("cp", "talker:/tmp/folder", "back", "-c", "quiet")
    with open(k.file("back/sub/leaf")) as f:
        check(f.read() == "leaf\n", "the folder came back changed")
    # kubectl ends with the archive, which is empty here, and may not wait for tar's message and exit code.
    r = k.run("cp", "shell:/no/such/file", "nothing")
    check(not os.path.exists(k.file("nothing")), f"{r}")


@cell("run")
def run(k):
    k.says("pod/runner created", "run", "runner", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--env=A=b",
           "--labels=who=runner", "--", "sh", "-c", "echo $A; exit 2")
    k.until("Failed", "get", "pod", "runner", "-o", "jsonpath={.status.phase}")
    k.says("b", "logs", "runner")
    k.says("2 runner", "get", "pod", "-l", "who=runner", "-o", "jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode} {..labels.who}")
    k.ok("delete", "pod", "runner")
    pod = json.loads(k.ok("run", "drawn", "--image=busybox", "--port=80", "--dry-run=client", "-o", "json"))
    check(pod["spec"]["containers"][0]["ports"][0]["containerPort"] == 80, f"{pod}")


@cell("run --rm -i, run -it")
def run_rm(k):
    r = k.run("run", "guest", "--rm", "-i", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "sh", "-c",
              "read line; echo got $line; exit 0", input="some input\n")
    check(r.code == 0 and "got some input" in r.out and re.search('pod "guest" deleted', r.out + r.err), f"{r}")
    r = k.run("run", "guest", "--rm", "-i", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "sh", "-c",
              "cat >/dev/null; exit 6", input="x")
    check(r.code == 6 and "terminated (Error)" in r.err + r.out, f"{r}")
    with k.terminal("run", "guest", "-it", "--rm", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "sh") as t:
        t.expect("try pressing enter|/ # ")
        t.send("\r")
        t.expect(r"/ # ")
        t.send("echo $((6*7))\r")
        t.expect(r"^42\r?$")
        t.send("exit\r")
        t.expect('pod "guest" deleted')
        t.ended(0)
    k.fails("NotFound", "get", "pod", "guest")


@cell("debug: ephemeral container", since=25)
def debug(k):
    k.ok("debug", "shell", "--image=busybox", "--image-pull-policy=IfNotPresent", "-c", "lens", "--", "sleep", "100000")
    k.until("running", "get", "pod", "shell", "-o", "jsonpath={.status.ephemeralContainerStatuses[?(@.name=='lens')].state}")
    k.says("inside", "exec", "shell", "-c", "lens", "--", "echo", "inside")
    k.ok("describe", "pod", "shell", has=[r"^Ephemeral Containers:$", r"^\s+lens:$"])
    # Input stays open: a container without stdinOnce is detached where it ends.
    with k.start("debug", "-i", "shell", "--image=busybox", "--image-pull-policy=IfNotPresent", "--target=main", "--", "sh", "-c",
                 "read go; cat /proc/1/cmdline; echo end; read go; exit 0") as d:
        d.expect("try pressing enter")
        d.send("go\n")
        d.expect("while read -r line.*end")   # the process of the target container is visible
        d.send("go\n")
        d.ended(0)


@cell("debug --copy-to, debug node")
def debug_copy(k):
    k.ok("debug", "talker", "--image=busybox", "--image-pull-policy=IfNotPresent", "--copy-to=copy", "-c", "lens", "--", "sleep", "100000")
    k.says("loud quiet lens", "get", "pod", "copy", "-o", "jsonpath={.spec.containers[*].name}")
    k.ok("delete", "pod", "copy", "--grace-period=1")
    node = k.get("pod/shell", ".spec.nodeName")
    out = k.ok("debug", f"node/{node}", "--image=busybox", "--image-pull-policy=IfNotPresent", "--", "cat", "/host/etc/hostname")
    name = re.search(rf"Creating debugging pod (node-debugger-{node}-\S+) with container debugger on node {node}\.", out)
    check(name, out)
    k.until("Succeeded", "get", "pod", name.group(1), "-o", "jsonpath={.status.phase}")
    k.says(node, "logs", name.group(1))
    k.ok("delete", "pod", name.group(1))
