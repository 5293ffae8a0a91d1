#!/usr/bin/python3
"""Forty students of a class whose labs are made on demand press Start at the same moment: each is answered at once, all labs
come to run, and the teacher sees it.

crowd.py --students 20 --exercise 4    as many as asked for, with an exercise that they then all do at the same moment
"""
import argparse
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from classroom import Classroom  # noqa: E402
from labtest import LAB, check, main, needed, wait_for  # noqa: E402


class Crowd(Classroom):
    def __init__(self, students, exercise):
        super().__init__()
        self.students, self.exercise = students, exercise

    def all(self, what):
        """what(i) for every student at the same moment; what each returned, in order."""
        out, ready = [None] * self.students, threading.Barrier(self.students)

        def one(i):
            ready.wait()
            out[i - 1] = what(i)
        threads = [threading.Thread(target=one, args=(i,)) for i in range(1, self.students + 1)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return out


@needed
def nothing_is_made_before_they_come(c):
    c.do("create", "--students", str(c.students), "--exercise", c.exercise, "--on-demand", "--force")
    c.serve()
    check(len(c.cookies) == c.students + 1, f"{len(c.cookies)} links")
    check(all(row["lab"] == "none" for row in c.api("GET", "/api/class")["students"]), "labs were made")


@needed
def all_press_start(c):
    begun = time.monotonic()

    def press(i):
        status, _, text = c.ask("POST", f"/api/students/student{i:02}/start", who=i)
        return status, text, time.monotonic() - begun
    answers = c.all(press)
    check(all(status == 202 for status, _, _ in answers), str([a for a in answers if a[0] != 202][:3]))
    waiting = [c.api("GET", f"/api/students/student{i:02}", who=i)["job"] for i in (1, c.students)]
    print(f"      answered after {statistics.median(a[2] for a in answers):.2f} s, the last after {max(a[2] for a in answers):.2f} s; "
          f"before them: {[job and job.get('before') for job in waiting]}", flush=True)

    def running():
        return [row["lab"] == "running" for row in c.api("GET", "/api/class")["students"]]
    wait_for("the first lab", lambda: any(running()))
    first = time.monotonic() - begun
    wait_for("all labs", lambda: all(running()), limit=300)
    print(f"      the first lab runs after {first:.1f} s, the last after {time.monotonic() - begun:.1f} s", flush=True)
    states = [c.api("GET", f"/api/students/student{i:02}", who=i) for i in range(1, c.students + 1)]
    wrong = [(s["student"], s["job"]) for s in states if (s["job"] and s["job"]["error"]) or not s["nodes"] or not s["exercise"]]
    check(not wrong, str(wrong[:3]))


def all_do_the_exercise(c):
    c.end_server()  # it would look at the same sessions
    begun, took = time.monotonic(), []

    def solve(i):
        done = subprocess.run([LAB, "exercise", "solve", "--all", "-p", f"{c.profile}-student{i:02}"], capture_output=True, text=True, timeout=900)
        took.append(time.monotonic() - begun)
        return done
    failed = [d for d in c.all(solve) if d.returncode != 0]
    check(not failed, f"{len(failed)} failed: " + "".join(d.stdout[-500:] + d.stderr[-500:] for d in failed[:2]))
    print(f"      {c.students} students have done it after {statistics.median(took):.0f} s (median), {max(took):.0f} s (the last)", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--students", type=int, default=40)
    parser.add_argument("--exercise")
    asked = parser.parse_args()
    steps = [nothing_is_made_before_they_come, all_press_start]
    main(steps + [all_do_the_exercise] if asked.exercise else steps, Crowd(asked.students, asked.exercise or "3"))
