#!/usr/bin/python3
"""`lab class` and what a teacher asks of the server: two students' labs, made although the command is killed in its middle;
progress, pause, reset, another exercise, cards, export, broadcast, delete."""
import csv
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from classroom import Classroom, set_end  # noqa: E402
from labtest import LAB, check, main, needed, run, wait_for  # noqa: E402

URL = "http://127.0.0.1:1"
NAMES = "Ada Lovelace\n<b>Bobby</b> \"=1+1\", Ñandú\n"


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as f:
            return f.read().split("\0")[:-1]
    except OSError:
        return []


class TwoStudents(Classroom):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="lab-class-")
        self.names = self.file("names", NAMES)
        self.labs = [f"{self.profile}-student0{i}" for i in (1, 2)]
        self.flags = ("--exercise", "3", "--names", self.names, "--language", "es", "--ends", "1h", "--url", URL)

    def file(self, name, text):
        path = os.path.join(self.folder.name, name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        return path

    def rows(self):
        return json.loads(self.do("progress", "-o", "json"))["students"]

    def states(self):
        return re.findall(r"^student0\d +(\S+)", self.do("show"), re.M)


def bad_input_is_refused_and_nothing_is_made(c):
    def refused(words, *argv):
        done = run(LAB, "class", "create", *argv, check=False)
        check(done.returncode == 1 and re.search(words, done.stderr), f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done
    name, some = c.profile, ("--students", "2")
    refused("is no name for a class", "a/b", *some)
    refused("is no name for a class", "../" + name, *some)
    refused("needs students", name, "--students", "0")
    refused("needs students", name)
    refused("at most 200", name, "--students", "201")
    refused("04-scaling", name, *some, "--exercise", "quantum")
    refused("needs 3 nodes", name, *some, "--exercise", "4", "--nodes", "2")
    refused("--memory", name, *some, "--memory", "1m")
    refused("no address", name, *some, "--url", "ftp://x")
    refused("line 2 .*already, in line 1", name, "--names", c.file("twice", "Ada\nAda\n"))
    refused("line 1 is no UTF-8", name, "--names", c.file("bytes", b"\xff\xfe\n"))
    refused("2 names for 1", name, "--names", c.names, "--students", "1")
    full = refused("do not fit .* would not suffice", name, "--students", "200", "--nodes", "9")
    check("RESOURCE" in full.stdout and "memory" in full.stdout, full.stdout)
    for verb in ("show", "progress", "cards", "pause", "reset"):
        done = c.do(verb, check=False)
        check(done.returncode == 1 and "there is no class" in done.stderr, f"{verb}: {done.stderr}")
    check("nothing to delete" in c.do("delete"), "delete of a class that is not there")
    check(not os.path.exists(f"/var/lib/lab/classes/{name}"), "a refused class was made")


@needed
def made_although_killed_in_the_middle(c):
    argv = [LAB, "class", "create", c.profile, *c.flags]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    profiles = "/var/lib/lab/profiles"
    wait_for("a first lab", lambda: any(n.startswith(c.profile) for n in os.listdir(profiles)) if os.path.exists(profiles) else False, pause=0.05)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    begun = time.monotonic()
    out = run(*argv)
    print(f"      made in {time.monotonic() - begun:.1f} s", flush=True)
    check("room for" in out and out.index("RESOURCE") < out.index("student01 done"), out)
    check("student02 done" in out and "is ready" in out, out)
    check(c.states() == ["running", "running"], c.do("show"))
    mode = os.stat(f"/var/lib/lab/classes/{c.profile}/class.json").st_mode
    check(stat.S_IMODE(mode) == 0o600, "the links' secrets can be read by others")
    other = run(LAB, "class", "create", c.profile, "--students", "2", "--exercise", "4", check=False)
    check(other.returncode == 1 and "there is a class" in other.stderr, other.stderr)


def cards_and_lists_show_it(c):
    shown = c.do("show")
    links = re.findall(rf"{URL}/s/[a-z2-7]{{26}}", shown)
    check(len(set(links)) == 2 and re.search(rf"Teacher: {URL}/t/[a-z2-7]{{26}}\n", shown), shown)
    check(re.search(rf"^{c.profile} +2 +03-pods +open +in ", run(LAB, "class", "list"), re.M), run(LAB, "class", "list"))
    path = os.path.join(c.folder.name, "cards.html")
    check("2 cards" in c.do("cards", "-o", path), "cards")
    check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, "cards can be read by others")
    with open(path) as f:
        page = f.read()
    check(all(page.count(link) == 1 for link in links) and page.count("<svg") == 2, page)
    check("&lt;b&gt;Bobby&lt;/b&gt;" in page and "<b>" not in page and "Escanea" in page, page)


def a_solved_step_is_seen(c):
    check([r["passed"] for r in c.rows()] == [0, 0] and all(r["checks"] > 1 for r in c.rows()), str(c.rows()))
    run(LAB, "exercise", "solve", "--profile", c.labs[0])
    ada, bobby = c.rows()
    check(ada["step"] == 1 and ada["passed"] > 0 and all(ada["matrix"][0]) and bobby["passed"] == 0, f"{ada}\n{bobby}")
    check(ada["stuck"] is not None and ada["stuck"] <= bobby["stuck"], f"{ada['stuck']} {bobby['stuck']}")
    lines = list(csv.reader(io.StringIO(c.do("progress", "-o", "csv")), strict=True))
    check(lines[0][0] == "student" and lines[1][:4] == ["student01", "Ada Lovelace", "03-pods", "1"], str(lines))
    check(lines[2][1] == NAMES.splitlines()[1], str(lines[2]))
    check(re.search(r"student01 +Ada Lovelace +03-pods +1/\d.*✓", c.do("progress")), c.do("progress"))


def labs_do_not_see_each_other(c):
    """The same addresses in both, and each reaches itself alone."""
    names = [run(LAB, "shell", "-p", lab, "node1", "--", "sh", "-c", "hostname -i; ip -br link | wc -l").split() for lab in c.labs]
    check(names[0][0] == names[1][0], f"addresses: {names}")
    run(LAB, "shell", "-p", c.labs[0], "node1", "--", "sh", "-c", "echo mine >/root/mark")
    seen = run(LAB, "shell", "-p", c.labs[1], "node1", "--", "sh", "-c", "cat /root/mark", check=False)
    check(seen.returncode != 0 and "mine" not in seen.stdout, "a file of another student's lab")


def pause_stop_and_resume(c):
    check("stands still" in c.do("pause"), "pause")
    check(c.states() == ["paused", "paused"], c.do("show"))
    refused = c.do("reset", "--force", check=False)
    check(refused.returncode == 1 and "lab class resume" in refused.stderr, refused.stderr)
    c.do("pause")
    c.do("resume")
    check(c.states() == ["running", "running"], c.do("show"))
    run(LAB, "stop", "--profile", c.labs[0])  # as after a restart of the machine
    check(c.states() == ["stopped", "running"], c.do("show"))
    run(LAB, "class", "create", c.profile, *c.flags)
    check(c.states() == ["running", "running"] and c.rows()[0]["step"] == 1, "create does not start what stopped")
    ends = c.do("extend", "30m")
    check(re.search(r"ends 20\d\d-", ends), ends)
    check(c.do("extend", "soon", check=False).returncode == 1, "no duration")


def reset_of_one_leaves_the_other(c):
    run(LAB, "exercise", "solve", "--profile", c.labs[1])
    begun = time.monotonic()
    out = c.do("reset", "student01", "--force")
    print(f"      reset in {time.monotonic() - begun:.1f} s", flush=True)
    check("student01 done" in out and "student02" not in out, out)
    check([r["step"] for r in c.rows()] == [0, 1], str(c.rows()))
    run(LAB, "exercise", "solve", "--profile", c.labs[0])
    check([r["step"] for r in c.rows()] == [1, 1], "the lab does not work after its reset")
    check(c.do("reset", "student09", "--force", check=False).returncode == 1, "an unknown student")


def another_exercise_takes_its_place(c):
    job = lambda *what, **kw: run(LAB, "class", "job", c.profile, "student02", *what, **kw)  # noqa: E731
    job("exercise", "8", "en")
    ada, bobby = c.rows()
    check((ada["exercise"], bobby["exercise"]) == ("03-pods", "08-config") and bobby["passed"] == 0, f"{ada}\n{bobby}")
    run(LAB, "exercise", "solve", "--profile", c.labs[1])
    check(c.rows()[1]["step"] == 1, "the new exercise does not work")
    job("add-node")
    out = job("delete-node", "node1", check=False)
    check(out.returncode == 1 and "master" in out.stderr, out.stderr)
    job("add-node")
    full = job("add-node", check=False)
    check(full.returncode == 1 and "as many as the class allows" in full.stderr, full.stderr)


def at_its_end_a_class_stands_still_without_a_server(c):
    """By the process that create left behind, and killed, by the one that extend starts."""
    def keepers():
        return [pid for pid in filter(str.isdigit, os.listdir("/proc")) if cmdline(pid)[1:] == ["class", "keep", c.profile]]
    before = keepers()
    check(len(before) == 1, f"one process waits for the end: {before}")
    set_end(c.profile, 1)
    wait_for("labs that stand still by themselves", lambda: c.states() == ["paused", "paused"])
    os.kill(int(before[0]), signal.SIGKILL)
    c.do("extend", "30m")
    check(c.states() == ["running", "running"], c.do("show"))
    wait_for("the next one", lambda: len(keepers()) == 1 and keepers() != before)


def the_server_does_what_a_teacher_asks(c):
    c.serve()
    one = c.api("GET", "/api/class")
    check(one["name"] == c.profile and [s["title"] for s in one["students"]] == NAMES.splitlines(), str(one))
    for method, path in (("GET", ""), ("POST", "/extend"), ("POST", "/pause"), ("POST", "/reset"), ("POST", "/broadcast"), ("GET", "/export"), ("GET", "/cards")):
        status, _, text = c.ask(method, "/api/class" + path, {} if method == "POST" else None, who=1)
        check(status == 403 and "<b>" not in text, f"a student asked {path}: {status} {text}")
    for path, body in (("extend", {"minutes": 0}), ("extend", {"minutes": "x"}), ("broadcast", {"command": "a\u001bb"}), ("broadcast", {}),
                       ("reset", {"students": ["nobody"]})):
        status, _, text = c.ask("POST", "/api/class/" + path, body)
        check(400 <= status < 500 and json.loads(text)["kind"] == "Status", f"{path} {body}: {status} {text}")
    before = re.search(r"20\S+Z", json.dumps(one["ends"])).group()
    check(c.api("POST", "/api/class/extend", {"minutes": 10})["ends"] > before, "extend")
    _, headers, text = c.ask("GET", "/api/class/export?format=csv")
    check("attachment" in headers["Content-Disposition"] and list(csv.reader(io.StringIO(text)))[2][2] == "08-config", f"{headers}\n{text}")
    check(json.loads(c.ask("GET", "/api/class/export?format=json")[2])["class"] == c.profile, "export as JSON")
    _, headers, text = c.ask("GET", "/api/class/cards")
    check("style-src 'unsafe-inline'" in headers["Content-Security-Policy"] and text.count("<svg") == 2, str(headers))
    wait_for("both labs on the page", lambda: [s["lab"] for s in c.api("GET", "/api/class")["students"]] == ["running"] * 2)
    answer = c.api("POST", "/api/class/broadcast", {"command": "echo $((6*7)) >/root/from-teacher", "node": "node1"})
    check(answer["students"] == 2, str(answer))
    for lab in c.labs:
        wait_for("the command's file", lambda: run(LAB, "shell", "-p", lab, "node1", "--", "cat", "/root/from-teacher") == "42\n")
    c.api("POST", "/api/class/pause")
    check(c.states() == ["paused", "paused"] and c.api("GET", "/api/class")["paused"], c.do("show"))
    check(c.ask("POST", "/api/class/reset", {})[0] == 409, "a reset of a paused class")
    c.api("POST", "/api/class/resume")
    check(c.states() == ["running", "running"], c.do("show"))
    check(c.api("POST", "/api/class/reset", {"students": ["student01"]})["students"] == ["student01"], "reset")
    wait_for("the reset lab's row", lambda: [s["step"] for s in c.api("GET", "/api/class")["students"]] == [0, 1])
    seen = wait_for("what the checks saw", lambda: [k["seen"] for k in c.api("GET", "/api/students/student01")["exercise"]["steps"][0]["checks"] if k["seen"]])
    check(all(re.match(r"\d+ de \d+ \(hay \d+ |todavía no hay|el servidor de la API", s) for s in seen), f"in a Spanish class: {seen}")


def at_its_end_a_class_stands_still(c):
    state = lambda: c.api("GET", "/api/students/student02", who=2)  # noqa: E731
    check(not state()["over"] and not c.api("GET", "/api/class")["over"], "it is over already")
    set_end(c.profile, 4)
    wait_for("labs that stand still by themselves", lambda: c.states() == ["paused", "paused"])
    told = wait_for("the page says so", lambda: (lambda s: s["over"] and s["lab"] == "paused" and s)(state()))
    check(not told["paused"] and c.api("GET", "/api/class")["over"], str(told)[:500])
    check(re.search(rf"^{c.profile} .* ended +over", run(LAB, "class", "list"), re.M), run(LAB, "class", "list"))
    status, _, text = c.ask("POST", "/api/students/student02/start", {}, who=2)
    check(status == 409 and "has ended" in text, f"{status} {text}")
    for argv in (("resume",), ("reset", "student01", "--force")):
        done = c.do(*argv, check=False)
        check(done.returncode == 1 and "has ended" in done.stderr and "lab class extend" in done.stderr, f"{argv}: {done.stderr}")
    check(c.states() == ["paused", "paused"], c.do("show"))
    check(c.api("POST", "/api/class/extend", {"minutes": 30})["ends"], "extend")
    check(c.states() == ["running", "running"], c.do("show"))
    wait_for("the page goes on", lambda: (lambda s: not s["over"] and s["lab"] == "running")(state()))
    check(run(LAB, "shell", "-p", c.labs[1], "node1", "--", "cat", "/root/from-teacher") == "42\n", "what was in a lab is gone")


def delete_leaves_nothing(c):
    """Also while the server serves the class, and killed in its middle."""
    child = subprocess.Popen([LAB, "class", "delete", c.profile, "--force"], stdout=subprocess.DEVNULL, start_new_session=True)
    time.sleep(0.4)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    out = c.do("delete", "--force")
    check(f'Deleted class "{c.profile}"' in out or "nothing to delete" in out, out)
    check("there is no class" in c.do("show", check=False).stderr, "it is still there")
    wait_for("the server forgets the class", lambda: c.ask("GET", "/api/class")[0] in (401, 404))
    c.end_server()
    check("nothing to delete" in c.delete(), "a second time")
    wait_for("the process that waited for the end to go", lambda: not any(cmdline(p)[1:] == ["class", "keep", c.profile] for p in filter(str.isdigit, os.listdir("/proc"))))
    left = [n for d in ("/var/lib/lab/profiles", "/var/lib/lab/exercises", "/var/lib/lab/classes") if os.path.isdir(d)
            for n in os.listdir(d) if n.startswith(c.profile)]
    check(not left, f"left: {left}")


if __name__ == "__main__":
    main([bad_input_is_refused_and_nothing_is_made, made_although_killed_in_the_middle, cards_and_lists_show_it, a_solved_step_is_seen,
          labs_do_not_see_each_other, pause_stop_and_resume, reset_of_one_leaves_the_other,
          another_exercise_takes_its_place, at_its_end_a_class_stands_still_without_a_server,
          the_server_does_what_a_teacher_asks, at_its_end_a_class_stands_still,
          delete_leaves_nothing], TwoStudents())
