#!/usr/bin/python3
"""lab compose: the sample application's compose file mines, its page answers at the published port; logs, ps, up again with a
changed file, Ctrl-C, down; an image built from a Dockerfile and a volume that outlives its pod."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, needed, run, wait_for  # noqa: E402

SAMPLE = os.path.join(os.path.dirname(__file__), "../../../labs/dockercoins/docker-compose.yml")
OWN = """services:
  store:
    build: .
    command: ["sh", "-c", "cat /note; date +%s%N >>/data/starts; wc -l </data/starts; sleep 3600"]
    volumes: ["data:/data"]
    depends_on: {once: {condition: service_completed_successfully}}
  once:
    image: busybox
    command: echo done before
    restart: "no"
volumes: {data: {}}
"""


def _compose(lab, directory, *args, **kw):
    verb, rest = args[0], args[1:]
    return run(LAB, "compose", verb, "--profile", lab.profile, "--file", directory, *rest, **kw)


def _objects(lab):
    return lab.kubectl("get", "namespaces", "-o", "name") + lab.kubectl("get", "all", "-A", "-o", "name")


@needed
def a_lab(lab):
    lab.start()
    lab.before = sorted(_objects(lab).split())


def the_sample_mines(lab):
    out = _compose(lab, SAMPLE, "up", "--detach")
    check(f"{lab.address()}:8000->80/tcp" in out, out)

    def hashes():
        with urllib.request.urlopen(f"http://{lab.address()}:8000/json", timeout=5) as answer:
            return int(json.load(answer)["hashes"] or 0)
    first = wait_for("coins", hashes)
    wait_for("more coins", lambda: hashes() > first)
    out = _compose(lab, SAMPLE, "ps")
    check(out.count("running (1/1)") == 5, out)


def logs_of_all_and_of_one(lab):
    # A program that a pod does not show at once has its output a moment later.
    out = wait_for("the worker's log", lambda: [o for o in [_compose(lab, SAMPLE, "logs")] if "worker | " in o and "redis  | " in o])[0]
    one = _compose(lab, SAMPLE, "logs", "redis")
    check(one and all(line.startswith("redis  | ") for line in one.splitlines()), one + out)


def again_changes_nothing_and_a_smaller_file_takes_away(lab):
    pods = sorted(lab.kubectl("-n", "dockercoins", "get", "pods", "-o", "name").split())
    _compose(lab, SAMPLE, "up", "--detach")
    check(sorted(lab.kubectl("-n", "dockercoins", "get", "pods", "-o", "name").split()) == pods, "pods were exchanged")
    with tempfile.TemporaryDirectory() as d:
        text = open(SAMPLE).read().replace("  worker:\n    image: dockercoins/worker:v0.1\n", "")
        open(f"{d}/compose.yaml", "w").write(text)
        _compose(lab, f"{d}/compose.yaml", "up", "--detach", "--project-name", "dockercoins")
    out = _compose(lab, SAMPLE, "ps")
    check("worker" not in out and "webui" in out, out)
    _compose(lab, SAMPLE, "down")
    check(sorted(_objects(lab).split()) == lab.before, _objects(lab))
    _compose(lab, SAMPLE, "down")  # once more


def built_here_with_a_volume_until_ctrl_c(lab):
    with tempfile.TemporaryDirectory() as d:
        open(f"{d}/Dockerfile", "w").write("FROM busybox\nCOPY note /note\n")
        open(f"{d}/note", "w").write("from the image\n")
        open(f"{d}/compose.yaml", "w").write(OWN)
        for count in ("1", "2"):
            child = subprocess.Popen([LAB, "compose", "up", "--profile", lab.profile, "--file", f"{d}/compose.yaml", "--project-name", "own"],
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            seen = ""
            while f"store | {count}\n" not in seen:
                line = child.stdout.readline()
                check(line, f"it ended:\n{seen}")
                seen += line
            check("store | from the image" in seen, seen)
            child.send_signal(signal.SIGINT)
            rest, _ = child.communicate(timeout=60)
            check(child.returncode == 0 and "Stopping own" in rest, f"{child.returncode}: {rest}")
            wait_for("the end of its pods", lambda: not lab.kubectl("-n", "own", "get", "pods", "-o", "name", "-l", "com.docker.compose.service=store"))
        _compose(lab, f"{d}/compose.yaml", "down", "--volumes", "--project-name", "own")
    check(sorted(_objects(lab).split()) == lab.before, _objects(lab))
    for node, *_ in lab.nodes():
        check("own" not in lab.shell(node, "sh", "-c", "ls /var/lib/lab-compose 2>/dev/null || true"), f"the volume is left on {node}")


def what_cannot_be_run_is_said(lab):
    with tempfile.TemporaryDirectory() as d:
        open(f"{d}/compose.yaml", "w").write("services:\n  a:\n    image: x\n    privileged: true\n")
        bad = _compose(lab, f"{d}/compose.yaml", "up", check=False)
        check(bad.returncode == 1 and "line 4, column 5: privileged" in bad.stderr, bad.stderr)
    taken = _compose(lab, SAMPLE, "up", "--project-name", "default", check=False)
    check(taken.returncode == 1 and "--project-name" in taken.stderr, taken.stderr)
    check(_compose(lab, SAMPLE, "down", "--project-name", "default", check=False).returncode == 1, "it would have deleted default")


if __name__ == "__main__":
    main([a_lab, the_sample_mines, logs_of_all_and_of_one, again_changes_nothing_and_a_smaller_file_takes_away,
          built_here_with_a_volume_until_ctrl_c, what_cannot_be_run_is_said], Lab())
