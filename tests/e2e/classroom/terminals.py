#!/usr/bin/python3
"""Terminals in a lab's nodes: real shells that outlive whoever looks at them, and end with their node and their lab."""
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from keeper import Keeper  # noqa: E402
from labtest import Failed, Lab, check, main, needed, run, wait_for, LAB  # noqa: E402

LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib")
FLOOD = 100_000_000
SHOWN = FLOOD + FLOOD // 37  # lines of 37 bytes, whose ends a terminal makes longer
KEPT = 1024 * 1024
AHEAD = 256 * 1024


@needed
def an_empty_node_is_enough(lab):
    lab.start("--no-init")
    lab.keeper = Keeper(lab.profile)
    lab.keeper.start()
    lab.keeper.start()  # the one there is
    check(len(lab.keeper.pids()) == 1, f"keepers: {lab.keeper.pids()}")
    done = run(LAB, "terminals", lab.profile + "-none", check=False)
    check(done.returncode == 1 and "there is no lab" in done.stderr, done.stderr)


@needed
def a_shell_is_at_home_in_its_node(lab):
    lab.terminal = lab.keeper.open("node1", 100, 30)
    view = lab.view = lab.keeper.view(lab.terminal)
    view.type("clear; echo $(hostname) $(pwd) $TERM $(tty) $(stty size) e''nd\n").until_text(b" end\r\n")
    said = view.text.split(b" end\r\n")[0].split(b"\n")[-1].decode()
    check(said.split()[-5:] == ["/root", "xterm-256color", "/dev/pts/0", "30", "100"], said)
    check("node1" in said, said)
    # The leader of its session in the node's PID namespace, and one of the node's processes for its limits.
    view.type("echo $$ $(cut -d' ' -f5,6 /proc/$$/stat) a''ll\n").until_text(b" all\r\n")
    pid, group, session = view.text.split(b" all\r\n")[0].split(b"\n")[-1].split()[-3:]
    check(pid == group == session, f"{pid} {group} {session}")
    inside = lab.shell("node1", "cat", "/proc/1/cgroup", f"/proc/{int(pid)}/cgroup").splitlines()
    half = len(inside) // 2
    check(half > 0 and inside[:half] == inside[half:], f"cgroups of PID 1 and of the shell differ: {inside}")
    view.resize(132, 50).type("stty size\n").until_text(b"50 132")


def keys_work_as_on_any_terminal(lab):
    view = lab.view
    view.type("sleep 1000 && echo never\n").until_text(b"sleep 1000")
    wait_for("sleep", lambda: lab.pids("node1", "sleep 1000"))
    view.type("\x03").type("echo code $?\n").until_text(b"code 130")
    view.type("sleep 1001\n")
    wait_for("sleep", lambda: lab.pids("node1", "sleep 1001"))
    view.type("\x1a").until_text(b"Stopped")
    view.type("jobs\n").until_text(b"sleep 1001")
    view.type("kill %1; clear; top -d 1\n").until_text(b"load average").type("q")
    wait_for("the end of top", lambda: not lab.pids("node1", "top -d"))
    view.type("echo ba''ck\n").until_text(b"back")


def a_client_that_is_killed_loses_nothing(lab):
    program = f"""
import sys, time
sys.path.insert(0, {LIBRARY!r})
from keeper import View
view = View({lab.profile!r}, {lab.terminal!r})
view.type("for i in 1 2 3 4 5 6; do echo tick $i; sleep 0.4; done; echo fin''ished\\n")
view.until_text(b"tick 2")
print("seen", flush=True)
time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "LAB_BINARY": LAB})
    try:
        check(child.stdout.readline() == "seen\n", "the client did not see its command run")
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    again = lab.keeper.view(lab.terminal).until_text(b"finished")
    for i in range(1, 7):
        check(f"tick {i}\r\n".encode() in again.text, f"tick {i} is missing")
    check(again.text.count(b"tick 3\r\n") == 1, "something was doubled")
    seen = again.offset
    again.close()
    later = lab.keeper.view(lab.terminal, seen)
    later.until("start", lambda: later.starts)
    check(later.starts[0]["offset"] == seen and later.starts[0]["end"] >= seen, str(later.starts))
    later.close()


def a_flood_costs_nobody_anything(lab):
    """100 MB into a terminal that somebody looks at who never draws."""
    flood = lab.keeper.open("node1")
    silent = lab.keeper.view(flood, acknowledges=False)
    silent.until_text(b"# ")
    before = lab.keeper.memory()
    silent.type(f"yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c {FLOOD}; echo the''end\n")
    silent.until("full window", lambda: silent.offset >= AHEAD)
    other = lab.keeper.view(lab.terminal, lab.keeper.list()[lab.terminal]["end"])
    largest, answers = 0, 0
    while lab.keeper.list()[flood]["end"] < SHOWN:
        answers += 1
        other.type(f"echo an''swer {answers}.\n").until_text(f"answer {answers}.".encode())
        largest = max(largest, lab.keeper.memory() - before)
    check(largest < 4 * KEPT, f"the keeper grew by {largest} bytes")
    print(f"      {answers} answers of the other terminal meanwhile; the keeper grew by {largest // 1024} KiB")
    check(silent.offset == AHEAD, f"{silent.offset} bytes were sent that nobody had drawn")
    silent.acknowledges = True
    silent.ack()
    silent.until_text(b"theend")
    check(len(silent.starts) >= 2 and silent.starts[-1]["offset"] >= SHOWN - KEPT, str(silent.starts))
    check(len(silent.text) <= KEPT + 4096, f"{len(silent.text)} bytes were kept")
    other.close()
    silent.type("exit 9\n").until("exit", lambda: silent.code is not None)
    check(silent.code == 9, f"exit code {silent.code}")
    check(lab.keeper.list()[flood]["exited"] == 9, str(lab.keeper.list()))
    silent.close()
    lab.keeper.ask(do="close", id=flood)
    check(flood not in lab.keeper.list(), "it is still there")


def an_endless_flood_is_interrupted(lab):
    view = lab.keeper.view(lab.terminal, lab.keeper.list()[lab.terminal]["end"])
    view.type("yes\n").until("several starts", lambda: len(view.starts) > 3)
    check(all(s["end"] == s["offset"] for s in view.starts[1:]), f"output of now was called of the past: {view.starts}")
    view.type("\x03").type("echo in''terrupted $?\n").until_text(b"interrupted 130")
    view.close()


def two_look_at_one(lab):
    teacher, student = lab.keeper.view(lab.terminal), lab.keeper.view(lab.terminal)
    teacher.type("echo from the tea''cher\n")
    student.until_text(b"from the teacher").type("echo from the stu''dent\n")
    teacher.until_text(b"from the student")
    student.close()
    teacher.type("echo al''one\n").until_text(b"alone")
    teacher.close()


def _refused(what, attempt):
    try:
        attempt()
    except Failed as e:
        check(all(part in str(e) for part in what), str(e))
        return
    raise Failed(f"that was possible, and should have said: {what}")


def what_cannot_be_is_said(lab):
    for node in ("node7", "../etc", ""):
        _refused(["there is no node"], lambda: lab.keeper.open(node))
    _refused(["columns"], lambda: lab.keeper.open("node1", 0, 24))
    _refused(["there is no terminal"], lambda: lab.keeper.view("none"))
    lab.cmd("pause")
    try:
        _refused(["is paused", "lab unpause"], lambda: lab.keeper.open("node1"))
    finally:
        lab.cmd("unpause")
    lab.keeper.view(lab.terminal, 0).type("echo go''es on\n").until_text(b"goes on").close()


def closing_hangs_up(lab):
    terminal = lab.keeper.open("node1")
    lab.keeper.view(terminal).type("sleep 2000\n").until_text(b"sleep")
    wait_for("sleep", lambda: lab.pids("node1", "sleep 2000"))
    lab.keeper.ask(do="close", id=terminal)
    wait_for("its end", lambda: not lab.pids("node1", "sleep 2000"))


def a_node_that_stops_ends_its_shells(lab):
    lab.view.close()
    view = lab.keeper.view(lab.terminal)
    lab.cmd("node stop", "node1")
    view.until("exit", lambda: view.code is not None)
    check(view.code == 137, f"exit code {view.code}")
    check(lab.keeper.list()[lab.terminal]["exited"] == 137, str(lab.keeper.list()))
    _refused(["is not running", "lab node start"], lambda: lab.keeper.open("node1"))
    lab.cmd("node start", "node1")
    again = lab.keeper.view(lab.keeper.open("node1")).type("echo a''live\n").until_text(b"alive")
    again.close()
    view.close()


def a_keeper_that_is_killed_is_replaced(lab):
    pid = lab.keeper.pids()[0]
    os.kill(pid, signal.SIGKILL)
    wait_for("its end", lambda: not lab.keeper.pids())
    wait_for("its shells' end", lambda: not lab.pids("node1", "bash"))
    lab.keeper.start()
    check(lab.keeper.list() == {}, "terminals from nowhere")
    lab.last = lab.keeper.view(lab.keeper.open("node1")).type("echo a''new\n").until_text(b"anew")


def its_lab_s_end_is_its_end(lab):
    lab.delete()
    check(not lab.keeper.pids(), f"keepers: {lab.keeper.pids()}")
    check(not lab.keeper.files(), f"files: {lab.keeper.files()}")
    lab.last.acknowledges = False
    while lab.last.step():  # the end of the stream comes
        pass


if __name__ == "__main__":
    main([an_empty_node_is_enough, a_shell_is_at_home_in_its_node, keys_work_as_on_any_terminal, a_client_that_is_killed_loses_nothing,
          a_flood_costs_nobody_anything, an_endless_flood_is_interrupted, two_look_at_one, what_cannot_be_is_said, closing_hangs_up, a_node_that_stops_ends_its_shells,
          a_keeper_that_is_killed_is_replaced, its_lab_s_end_is_its_end], Lab(1))
