"""One kubectl binary with its own home, kubeconfig and namespace, and the means to judge what it prints.

A cell is a function with a row's name; it takes a Kubectl and raises Failure. Cells run in the order in which they are
written, so a later cell may use what an earlier one made. All waiting is for conditions, with generous limits.
"""
import os
import pty
import re
import shutil
import signal
import subprocess
import threading
import time

CELLS = []   # in order of running
LIMIT = 90   # seconds that one command or condition may take


class Failure(Exception):
    """What a cell saw, with the command that shows it."""


class Cell:
    def __init__(self, row, since, alone, judge):
        self.row, self.since, self.alone, self.judge = row, since, alone, judge


def cell(row, since=20, alone=False):
    """Registers a row. since: the first minor version that has the command. alone: runs while no other version does."""
    def register(judge):
        CELLS.append(Cell(row, since, alone, judge))
        return judge
    return register


def check(condition, what):
    if not condition:
        raise Failure(what)


class Result:
    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return f"$ kubectl {' '.join(self.args)}\nexit code {self.code}\nstdout: {self.out[-2500:]}\nstderr: {self.err[-1500:]}"


class Table:
    """What kubectl prints as a table: column names, and rows as dictionaries. Columns are cut where the headers start."""

    def __init__(self, text):
        lines = text.rstrip("\n").split("\n")
        heads = list(re.finditer(r"\S+(?: \S+)*", lines[0]))
        self.columns = [h.group() for h in heads]
        starts = [h.start() for h in heads] + [None]
        self.rows = [{h.group(): line[starts[i]:starts[i + 1]].strip() for i, h in enumerate(heads)} for line in lines[1:]]

    def row(self, name):
        for row in self.rows:
            if row.get("NAME") == name:
                return row
        raise Failure(f"no row {name!r} in {self.rows}")


class Stream:
    """A kubectl that runs on while the test talks to it. On a pty of 40 rows and 120 columns when terminal is true."""

    def __init__(self, owner, args, terminal=False):
        self.args, self.text, self.terminal = args, "", terminal
        if terminal:
            self.master, slave = pty.openpty()
            subprocess.run(["stty", "rows", "40", "cols", "120"], stdin=slave, check=True)
            self.process = subprocess.Popen([owner.binary, *args], stdin=slave, stdout=slave, stderr=slave, env=owner.env,
                                            cwd=owner.home, start_new_session=True)
            os.close(slave)
            self.source = self.master
        else:
            self.process = subprocess.Popen([owner.binary, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, env=owner.env, cwd=owner.home, start_new_session=True)
            self.source = self.process.stdout.fileno()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                part = os.read(self.source, 65536)
            except OSError:   # a pty whose other side is closed
                return
            if not part:
                return
            self.text += part.decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join(10)
        if self.terminal:
            os.close(self.master)
        else:
            self.process.stdin.close()
            self.process.stdout.close()

    def expect(self, pattern, limit=LIMIT):
        end = time.monotonic() + limit
        while True:
            ended = self.process.poll() is not None
            if ended:
                self.reader.join(10)
            found = re.search(pattern, self.text, re.M)
            if found:
                return found
            if ended or time.monotonic() > end:
                raise Failure(f"$ kubectl {' '.join(self.args)}\nnever printed /{pattern}/ ({'ended' if ended else 'still runs'}); "
                              f"it printed: {self.text[-2500:]}")
            time.sleep(0.03)

    def send(self, text):
        if self.terminal:
            os.write(self.master, text.encode())
        else:
            self.process.stdin.write(text.encode())
            self.process.stdin.flush()

    def end_input(self):
        self.process.stdin.close()

    def ended(self, code, limit=LIMIT):
        """Waits for its end and wants this exit code."""
        try:
            got = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failure(f"$ kubectl {' '.join(self.args)}\nnever ended; it printed: {self.text[-2500:]}") from None
        self.reader.join(10)
        check(got == code, f"$ kubectl {' '.join(self.args)}\nexit code {got}, expected {code}; it printed: {self.text[-2500:]}")
        return self.text

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)


class Kubectl:
    def __init__(self, minor, binary, kubeconfig, home):
        self.minor, self.binary, self.home = minor, binary, home
        self.ns = f"kubectl-1-{minor}"
        os.makedirs(os.path.join(home, "tmp"))
        shutil.copy(kubeconfig, os.path.join(home, "config"))
        self.env = {"PATH": os.environ["PATH"], "HOME": home, "TMPDIR": os.path.join(home, "tmp"), "LC_ALL": "C.UTF-8",
                    "KUBECONFIG": os.path.join(home, "config"), "TERM": "xterm"}
        if minor == 22:
            self.env["KUBECTL_COMMAND_HEADERS"] = "false"  # with them 1.22.0 to 1.22.2 never leave `run -i` (kubernetes/kubectl#1098)
        self.kept = {}   # what an earlier cell leaves for a later one

    def file(self, name, content=None):
        """A path in this kubectl's home; written when there is content."""
        path = os.path.join(self.home, name)
        if content is not None:
            with open(path, "w" if isinstance(content, str) else "wb") as out:
                out.write(content)
        return path

    def run(self, *args, input=None, env=None, limit=LIMIT):
        args = [str(a) for a in args]
        if isinstance(input, str) and input.startswith("{apiVersion"):
            input = "---\n" + input   # YAML in flow style, which kubectl would take for JSON
        data = input.encode() if isinstance(input, str) else input
        try:
            done = subprocess.run([self.binary, *args], input=data, capture_output=True, timeout=limit, cwd=self.home,
                                  env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL if data is None else None,
                                  start_new_session=True, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"$ kubectl {' '.join(args)}\nstill runs after {limit} s; stdout: {(e.stdout or b'')[-1500:]!r} "
                          f"stderr: {(e.stderr or b'')[-1500:]!r}") from None
        return Result(args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def ok(self, *args, has=(), lacks=(), **how):
        """Wants exit code 0 and every pattern of has in stdout; returns stdout."""
        r = self.run(*args, **how)
        check(r.code == 0, f"expected exit code 0\n{r}")
        for pattern in [has] if isinstance(has, str) else has:
            check(re.search(pattern, r.out, re.M), f"stdout lacks /{pattern}/\n{r}")
        for pattern in [lacks] if isinstance(lacks, str) else lacks:
            check(not re.search(pattern, r.out, re.M), f"stdout has /{pattern}/\n{r}")
        return r.out

    def says(self, text, *args, **how):
        """Wants exit code 0 and exactly this on stdout (line ends and blanks around it aside)."""
        r = self.run(*args, **how)
        check(r.code == 0 and r.out.strip() == text.strip(), f"expected exit code 0 and {text!r}\n{r}")

    def fails(self, pattern, *args, code=1, **how):
        """Wants this exit code and a message on stderr; returns the result."""
        r = self.run(*args, **how)
        check(r.code == code, f"expected exit code {code}\n{r}")
        check(re.search(pattern, r.err, re.M), f"stderr lacks /{pattern}/\n{r}")
        return r

    def table(self, *args, **how):
        return Table(self.ok(*args, **how))

    def get(self, what, path):
        """One jsonpath of an object: k.get("pod/x", ".status.phase")."""
        return self.ok("get", what, "-o", f"jsonpath={{{path}}}")

    def until(self, pattern, *args, limit=LIMIT):
        """Repeats until stdout has the pattern with exit code 0."""
        end = time.monotonic() + limit
        while True:
            r = self.run(*args)
            if r.code == 0 and re.search(pattern, r.out, re.M):
                return r.out
            check(time.monotonic() < end, f"stdout never had /{pattern}/\n{r}")
            time.sleep(0.2)

    def apply(self, manifest, *args, **how):
        return self.ok("apply", *args, "-f", "-", input=manifest, **how)

    def start(self, *args):
        return Stream(self, list(args))

    def terminal(self, *args):
        return Stream(self, list(args), terminal=True)
