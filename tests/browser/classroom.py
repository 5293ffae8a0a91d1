#!/usr/bin/python3
"""A student and a teacher in a real browser, on a classroom with a real lab: exercises 1 and 7 to their ends.

The steps are in student.mjs and teacher.mjs. This script makes the class and runs its server; when the browser's side
prints "restart", the server is killed (-9) and started again on the same ports; when it prints "end", the class's time is
up, and "tls" has the server started with a certificate.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../e2e/lib"))
from classroom import set_end  # noqa: E402
from labtest import LAB, Failed, Lab, check, main, needed, run, wait_for  # noqa: E402

STAGE = os.environ.get("LAB_BROWSER_STAGE") or os.path.join(os.path.dirname(LAB), "tests/browser/stage")
LINKS = r"at https?://127\.0\.0\.1:(\d+) \(.*port (\d+)\)[\s\S]*(http\S+/s/\S+)\n[\s\S]*(http\S+/t/\S+)\n"
TLS = "/var/lib/lab/classroom-tls"
LIMIT = 1500  # seconds that the browser's side may take


class Classroom(Lab):
    """A class of one student, whose lab's profile has the class's name."""

    def __init__(self):
        super().__init__()
        self.server, self.ports = None, ("0", "0")
        self.had_certificate = os.path.exists(TLS)

    def play(self, *flags):
        """Starts the server; waits until it has said where it is."""
        said = []
        self.server = subprocess.Popen(
            [LAB, "play", "--class", self.profile, "--create", "--nodes", str(self.count), "--language", "en",
             "--listen", f"127.0.0.1:{self.ports[0]}", "--ports-listen", f"127.0.0.1:{self.ports[1]}", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=lambda out: said.extend(out), args=(self.server.stdout,), daemon=True).start()

        def links():
            return re.search(LINKS, "".join(said)) or self.server.poll() is not None
        found = wait_for("the server's links", links)
        check(found is not True, f"lab play ended:\n{''.join(said)}")
        self.ports = found[1], found[2]
        return found[3], found[4]

    def kill(self):
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGKILL)
        if self.server:
            self.server.wait(30)

    def end_class(self):
        set_end(self.profile, 0)

    def delete(self):
        self.kill()
        if not self.had_certificate:
            shutil.rmtree(TLS, ignore_errors=True)
        return run(LAB, "class", "delete", self.profile, "--force", check=False)


@needed
def a_student_and_a_teacher(lab):
    student, teacher = lab.play()
    steps = subprocess.Popen(["node", os.path.join(STAGE, "student.mjs"), student, teacher],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(LIMIT, steps.kill)
    watchdog.start()
    try:
        for line in steps.stdout:
            if line.strip() == "restart":
                lab.kill()
                lab.play()
                steps.stdin.write("restarted\n")
                steps.stdin.flush()
            elif line.strip() == "tls":
                lab.kill()
                steps.stdin.write(lab.play("--tls")[0] + "\n")
                steps.stdin.flush()
            elif line.strip() == "end":
                lab.end_class()
                steps.stdin.write("ended\n")
                steps.stdin.flush()
            else:
                print(f"      {line.rstrip()}", flush=True)
        if steps.wait(30) != 0:
            raise Failed("the browser's side failed; its last line tells at what")
    finally:
        watchdog.cancel()
        if steps.poll() is None:
            steps.terminate()
            steps.wait(30)


if __name__ == "__main__":
    main([a_student_and_a_teacher], Classroom())
