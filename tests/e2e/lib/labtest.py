"""What the end-to-end tests share: a lab of their own, waiting for conditions, and the machine's state before and after.

A test is a function step(lab); run() calls them in order, reports each, and always deletes the lab.
"""
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import urllib.request

LAB = os.environ.get("LAB_BINARY") or os.path.join(os.path.dirname(__file__), "../../../build/lab")
PATIENCE = int(os.environ.get("LAB_PATIENCE", 120))  # seconds; machines that run tests are slow and noisy


class Failed(Exception):
    pass


def run(*argv, check=True, timeout=300, stdin=None):
    """Standard output of a program; Failed with all it said when it fails."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, input=stdin)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, argv))}\n  exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout if check else done


def wait_for(what, probe, limit=PATIENCE, pause=0.3):
    """Repeats probe() until it returns something true; its last answer or error is told when time runs out."""
    deadline, last = time.monotonic() + limit, None
    while time.monotonic() < deadline:
        try:
            last = probe()
            if last:
                return last
        except (Failed, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as e:
            last = e
        time.sleep(pause)
    raise Failed(f"{what}: not within {limit} s; last seen: {last}")


class Lab:
    """A lab with a profile of its own."""

    def __init__(self, nodes=3):
        self.profile, self.count = f"e2e-{os.getpid()}", nodes

    def cmd(self, *args, **kw):
        head, rest = args[0].split(), args[1:]
        return run(LAB, *head, *rest, "--profile", self.profile, **kw)

    def start(self, *flags):
        return self.cmd("start", "--nodes", self.count, "--no-kubeconfig", *flags)

    def delete(self):
        return self.cmd("delete", "--force")

    def kubectl(self, *args, **kw):
        return run(LAB, "kubectl", "-p", self.profile, *args, **kw)

    def get(self, *args):
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def shell(self, node, *argv, **kw):
        return run(LAB, "shell", "-p", self.profile, node, "--", *argv, **kw)

    def nodes(self):
        return [line.split("\t") for line in self.cmd("node list").splitlines()]

    def address(self):
        return self.nodes()[0][1]

    def deploy_dockercoins(self):
        self.cmd("deploy", "dockercoins", "--wait")

    def webui(self):
        port = self.get("service", "webui")["spec"]["ports"][0]["nodePort"]
        with urllib.request.urlopen(f"http://{self.address()}:{port}/json", timeout=5) as answer:
            return json.load(answer)

    def hashes(self):
        return int(self.webui()["hashes"] or 0)

    def speed(self, seconds=10):
        """Hashes per second, from the page's own numbers."""
        a = wait_for("the page's numbers", self.webui)
        time.sleep(seconds)
        b = wait_for("the page's numbers", self.webui)
        return (int(b["hashes"] or 0) - int(a["hashes"] or 0)) / (b["now"] - a["now"])

    def wait_mining(self, limit=PATIENCE):
        """Until the counter rises: two readings that differ."""
        first = wait_for("the page's numbers", lambda: (self.hashes(),), limit)[0]
        wait_for("a rising counter", lambda: self.hashes() > first, limit)

    def ready_nodes(self):
        return [n["metadata"]["name"] for n in self.get("nodes")["items"]
                if any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])]

    def pids(self, node, name):
        """Processes of a node whose command line begins with this program name."""
        out = self.shell(node, "sh", "-c", "for p in /proc/[0-9]*; do echo ${p#/proc/} $(tr '\\0' ' ' <$p/cmdline); done")
        return [line.split()[0] for line in out.splitlines() if len(line.split()) > 1 and line.split(" ", 1)[1].startswith(name)]


def machine_state(profile):
    """What a lab must leave as it found it: links, routes, rules, mounts, cgroups, files. Other labs' things are left out."""
    def lines(*argv):
        return run(*argv, check=False).stdout.splitlines()

    def others(text):
        return any(word in text for word in ("/lab/", "profiles/", "lab-agent-test")) and profile not in text
    files = [os.path.join(d, n) for top in FILES for d, _, names in os.walk(top) if not others(d) for n in names]
    return {"links": {l.split()[0].split("@")[0] for l in lines("ip", "-br", "link")}, "routes": set(lines("ip", "route")),
            "rules": set(l for l in lines("nft", "list", "tables")),
            "mounts": {l.split()[1] for l in open("/proc/self/mounts") if not others(l.split()[1])},
            "cgroups": {d for d, _, _ in os.walk("/sys/fs/cgroup") if "/lab/" in d + "/" and not others(d)},
            "files": {f for f in files if not others(f) and not f.endswith(".lock")}}


FILES = ("/var/lib/lab", "/etc/cni/net.d", "/etc/kubernetes", "/etc/lab", "/opt/cni", "/var/lib/kubelet", "/run/lab")


def lab_processes(profile):
    """Processes that belong to a lab: supervisors and commands that name its directory."""
    out = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
            cgroup = open(f"/proc/{pid}/cgroup").read()
        except OSError:
            continue
        if f"/lab/{profile}/" in cgroup or f"profiles/{profile}/" in line:
            out.append(f"{pid} {line.strip()}")
    return out


def assert_same_state(before, after, profile):
    problems = []
    for key in before:
        new, gone = sorted(after[key] - before[key])[:8], sorted(before[key] - after[key])[:8]
        if new or gone:
            problems.append(f"{key}: new {new}, gone {gone}")
    left = wait_gone(profile)
    if left:
        problems.append(f"processes: {left[:8]}")
    if problems:
        raise Failed("the machine is not as before:\n  " + "\n  ".join(problems))


def wait_gone(profile):
    for _ in range(100):
        left = lab_processes(profile)
        if not left:
            return []
        time.sleep(0.1)
    return left


def check(condition, text):
    if not condition:
        raise Failed(text)


def main(steps, lab):
    """Runs the steps; what they print is their report. Ends with 'N passed, N failed'."""
    def stop(signum, _frame):
        raise SystemExit(128 + signum)
    signal.signal(signal.SIGTERM, stop)
    before, passed, failed = machine_state(lab.profile), 0, 0
    try:
        for step in steps:
            begun = time.monotonic()
            try:
                step(lab)
                passed += 1
                print(f"ok    {step.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
            except (Failed, OSError, subprocess.TimeoutExpired, KeyError, ValueError) as e:
                failed += 1
                print(f"FAIL  {step.__name__} ({time.monotonic() - begun:.1f} s): {e}", flush=True)
                if not isinstance(e, Failed):
                    traceback.print_exc()
                if getattr(step, "needed", False):
                    break  # nothing after it can hold
    finally:
        try:
            lab.delete()
            assert_same_state(before, machine_state(lab.profile), lab.profile)
            passed += 1
            print("ok    deleted; the machine is as before")
        except (Failed, subprocess.TimeoutExpired) as e:
            failed += 1
            print(f"FAIL  delete: {e}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


def needed(step):
    """Marks a step without which the rest makes no sense."""
    step.needed = True
    return step
