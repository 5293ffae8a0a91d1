#!/usr/bin/env python3
"""Runs every command of several real kubectls against a running lab, and prints the version x command matrix.

    tests/e2e/kubectl/matrix.py --lab build/lab                     the versions that every change is tried with
    tests/e2e/kubectl/matrix.py --lab build/lab 1.32 --only logs    one version, and the rows whose names match

Needs root (a lab does). Starts its own lab of two nodes and deletes it in the end, however it ends: a guard process
outlives this one for that. Exit code 0 when every cell passes.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import cells_basics  # noqa: F401  (each registers its rows; the order of imports is the order of running)
import cells_get  # noqa: F401
import cells_create  # noqa: F401
import cells_change  # noqa: F401
import cells_rollout  # noqa: F401
import cells_pods  # noqa: F401
import cells_storage  # noqa: F401
import cells_admin  # noqa: F401
import cells_nodes  # noqa: F401
from harness import CELLS, Failure, Kubectl

VERSIONS = ["1.20", "1.28", "1.32", "1.35"]
TREE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")


class Lab:
    """A lab of its own. Deleted on leaving, and by the guard when this process is killed."""

    def __init__(self, binary, keep):
        self.binary, self.keep, self.profile = binary, keep, f"kubectl-{os.getpid()}"

    def __enter__(self):
        if not self.keep:
            # setsid --fork: the guard is nobody's child, so that killing this process and its children spares it.
            self.guard = subprocess.Popen(
                ["setsid", "--fork", "sh", "-c", 'cat >/dev/null; exec "$0" delete --profile "$1" --force', self.binary, self.profile],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        subprocess.run([self.binary, "start", "--profile", self.profile, "--nodes", "2", "--no-kubeconfig"], check=True, timeout=300,
                       stdin=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        if self.keep:
            print(f"kept: {self.binary} delete --profile {self.profile} --force")
            return
        self.guard.stdin.close()
        print(self.guard.stdout.read().strip())   # ends when the guard has
        self.guard.wait()

    def kubeconfig(self, path):
        text = subprocess.run([self.binary, "kubeconfig", "--profile", self.profile], check=True, capture_output=True, timeout=60).stdout
        with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
            out.write(text)
        return path


AT_ONCE = 4  # versions: more of them only wait for one another on two cores


class Matrix:
    def __init__(self, kubectls, rows, deadline):
        self.kubectls, self.deadline = kubectls, deadline
        self.cells = [c for c in CELLS if not rows or re.search(rows, c.row)]
        self.results = {}    # (minor, row) -> "pass", "n/a" or the failure's text
        self.seconds = {}
        self.printing = threading.Lock()

    def judge(self, kubectl, cell):
        if kubectl.minor < cell.since:
            self.results[kubectl.minor, cell.row] = "n/a"
            return
        begin = time.monotonic()
        try:
            if begin > self.deadline:
                raise Failure("not run: the whole took too long")
            cell.judge(kubectl)
            result = "pass"
        except Failure as e:
            result = str(e)
        except Exception:  # noqa: BLE001  (a cell that breaks is a failed cell, and the others still count)
            result = traceback.format_exc()
        took = time.monotonic() - begin
        self.results[kubectl.minor, cell.row] = result
        self.seconds[kubectl.minor, cell.row] = took
        with self.printing:
            print(f"1.{kubectl.minor} {cell.row}: {'pass' if result == 'pass' else 'FAIL'} ({took:.1f} s)", flush=True)
            if result != "pass":
                print("    " + result.replace("\n", "\n    "), flush=True)

    def run(self):
        room = threading.Semaphore(AT_ONCE)

        def column(kubectl):
            with room:
                for c in self.cells:
                    if not c.alone:
                        self.judge(kubectl, c)
        threads = [threading.Thread(target=column, args=(k,), daemon=True) for k in self.kubectls]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for k in self.kubectls:   # what empties nodes disturbs everyone: one version after the other
            for c in self.cells:
                if c.alone:
                    self.judge(k, c)

    def failed(self):
        return [key for key, result in self.results.items() if result not in ("pass", "n/a")]

    def markdown(self):
        minors = [k.minor for k in self.kubectls]
        lines = ["| command | " + " | ".join(f"1.{m}" for m in minors) + " |", "|---|" + "---|" * len(minors)]
        for c in self.cells:
            marks = [{"pass": "✓", "n/a": "n/a"}.get(self.results.get((m, c.row), "not run"), "✗") for m in minors]
            lines.append(f"| {c.row} | " + " | ".join(marks) + " |")
        counts = {m: [sum(1 for c in self.cells if self.results.get((m, c.row)) == "pass"),
                      sum(1 for c in self.cells if self.results.get((m, c.row)) != "n/a")] for m in minors}
        lines.append("| **passed** | " + " | ".join(f"{p} of {n}" for p, n in counts.values()) + " |")
        return "\n".join(lines) + "\n"


def fetch(versions):
    said = subprocess.run([os.path.join(TREE, "tools/fetch-kubectl"), *versions], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {int(re.search(r"/v1\.(\d+)/kubectl$", line).group(1)): line for line in said.splitlines()}


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("versions", nargs="*", help="as 1.32; default: " + " ".join(VERSIONS))
    p.add_argument("--all", action="store_true", help="every version that tools/fetch-kubectl knows")
    p.add_argument("--lab", default=os.path.join(TREE, "build/lab"), help="the lab binary")
    p.add_argument("--report", help="where to write the matrix as Markdown")
    p.add_argument("--only", help="rows whose names match this pattern")
    p.add_argument("--limit", type=float, default=780, help="seconds after which no further cell begins")
    p.add_argument("--kubeconfig", help="use this running cluster instead of a new lab")
    p.add_argument("--keep", action="store_true", help="leave the lab running, to look at it")
    return p.parse_args()


def interrupted(number, _frame):
    raise SystemExit(f"ended by signal {number}")


def main():
    options = arguments()
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(s, interrupted)
    begin = time.monotonic()
    binaries = fetch(["--all"] if options.all else options.versions or VERSIONS)
    home = tempfile.mkdtemp(prefix="kubectl-matrix-")
    try:
        if options.kubeconfig:
            return run(options, binaries, options.kubeconfig, home, begin)
        with Lab(os.path.abspath(options.lab), options.keep) as lab:
            return run(options, binaries, lab.kubeconfig(os.path.join(home, "admin.conf")), home, begin)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def run(options, binaries, kubeconfig, home, begin):
    kubectls = [Kubectl(minor, binary, kubeconfig, os.path.join(home, str(minor))) for minor, binary in binaries.items()]
    matrix = Matrix(kubectls, options.only, begin + options.limit)
    matrix.run()
    table = matrix.markdown()
    print(table)
    if options.report:
        with open(options.report, "w") as out:
            out.write(table)
    slowest = sorted(matrix.seconds.items(), key=lambda item: -item[1])[:5]
    print("slowest: " + ", ".join(f"1.{m} {row} {s:.0f} s" for (m, row), s in slowest))
    print(f"{time.monotonic() - begin:.0f} s in all")
    for minor, row in matrix.failed():
        print(f"FAILED: 1.{minor} {row}")
    return 1 if matrix.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
