#!/usr/bin/python3
"""The course: every exercise runs by its own solutions, each check red before and green after; a student's commands."""
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, run, wait_for  # noqa: E402

AT_ONCE = 2  # exercises wait more than they work


def names():
    return [line.split()[0] for line in run(LAB, "exercise", "list").splitlines()[1:]]


def _prove(name):
    profile, begun = f"e2e-{os.getpid()}-{name[:2]}", time.monotonic()
    done = run(LAB, "exercise", "test", name, "--profile", profile, check=False, timeout=600)
    return name, profile, done, time.monotonic() - begun


def every_exercise(_lab):
    problems = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for name, profile, done, seconds in pool.map(_prove, os.environ.get("LAB_EXERCISES", "").split() or names()):
            print(f"      {name} ({seconds:.0f} s)", flush=True)
            if done.returncode != 0:
                problems.append(f"{name}:\n{done.stdout[-1500:]}{done.stderr}")
                run(LAB, "exercise", "stop", "--profile", profile, check=False)
    check(not problems, "\n".join(problems))


def a_students_way(lab):
    """start, check, hint, solve, show, stop; the wrong moments say what to do."""
    p = ("--profile", lab.profile)
    none = run(LAB, "exercise", "check", *p, check=False)
    check(none.returncode == 1 and "lab exercise start" in none.stderr, none.stderr)
    nothing = run(LAB, "exercise", "start", "99", *p, check=False)
    check(nothing.returncode == 1 and "04-scaling" in nothing.stderr, nothing.stderr)
    out = run(LAB, "exercise", "start", "4", "--language", "es", "--no-kubeconfig", *p)
    check("Un programa que se mantiene en marcha" in out, out)
    out = run(LAB, "exercise", "check", *p)
    check("✗ El Deployment web tiene un pod listo" in out, out)
    check("kubectl create deployment" in run(LAB, "exercise", "hint", *p), "no hint")
    other = run(LAB, "exercise", "start", "1", *p, check=False)
    check(other.returncode == 1 and "04-scaling" in other.stderr and "exercise stop" in other.stderr, other.stderr)
    run(LAB, "exercise", "start", "4", "--no-kubeconfig", *p)  # again: goes on
    lab.shell("node1", "bash", "-lc", "kubectl create deployment web --image=dockercoins/rng:v0.1")
    wait_for("the first check", lambda: "1. create  done" in run(LAB, "exercise", "check", *p))


def checks_turn_green_while_one_watches(lab):
    child = subprocess.Popen([LAB, "exercise", "check", "--watch", "--profile", lab.profile], stdout=subprocess.PIPE, text=True)
    try:
        lab.shell("node1", "bash", "-lc", "kubectl scale deployment web --replicas=6")
        seen = ""
        while "heal" not in seen and "Rómpelo" not in seen:
            line = child.stdout.readline()
            check(line, f"the watch ended:\n{seen}")
            seen += line
        check(re.search("✓ Seis pods de web están listos", seen), seen)
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(20)


def solved_and_passed_checks_stay(lab):
    p = ("--profile", lab.profile)
    out = run(LAB, "exercise", "solve", "--all", *p)
    check("All 4 steps" in out, out)
    lab.shell("node1", "bash", "-lc", "kubectl delete deployment web")
    out = run(LAB, "exercise", "check", *p)
    check(out.count("done") >= 4, out)


def reset_begins_anew_also_after_a_kill(lab):
    p = ("--profile", lab.profile)
    child = subprocess.Popen([LAB, "exercise", "reset", *p], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1.0)
    child.kill()
    child.wait()
    out = run(LAB, "exercise", "start", "4", "--no-kubeconfig", *p)
    check("[1/4]" in out, out)
    check("✗" in run(LAB, "exercise", "check", *p), "something is green after a reset")
    run(LAB, "exercise", "stop", *p)
    check(run(LAB, "exercise", "check", *p, check=False).returncode == 1, "the exercise is still there")


if __name__ == "__main__":
    main([every_exercise, a_students_way, checks_turn_green_while_one_watches, solved_and_passed_checks_stay,
          reset_begins_anew_also_after_a_kill], Lab())
