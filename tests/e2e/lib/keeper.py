"""A client of the keeper of a lab's terminals, as plain as its protocol (labs/terminal/protocol.h)."""
import json
import os
import socket
import struct
import time

from labtest import Failed, PATIENCE, run, LAB

DIRECTORY = "/var/lib/lab/terminals"


class Connection:
    def __init__(self, profile):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(f"{DIRECTORY}/{profile}.sock")

    def send(self, kind, data):
        self.socket.sendall(struct.pack(">I", len(data)) + kind + data)

    def receive(self):
        """(kind, data); None at the end."""
        head = self._exactly(5)
        return head and (head[4:5], self._exactly(struct.unpack(">I", head[:4])[0]))

    def _exactly(self, n):
        out = b""
        while len(out) < n:
            try:
                piece = self.socket.recv(n - len(out))
            except ConnectionResetError:
                piece = b""
            if not piece:
                return None
            out += piece
        return out

    def ask(self, **request):
        self.send(b"T", json.dumps(request).encode())
        answer = json.loads(self.receive()[1])
        if "error" in answer:
            raise Failed(answer["error"]["message"] + "; " + answer["error"]["hint"])
        return answer

    def close(self):
        self.socket.close()


class View:
    """One viewer of a terminal: what it has drawn since the last start."""

    def __init__(self, profile, terminal, offset=0, acknowledges=True):
        self.connection, self.acknowledges = Connection(profile), acknowledges
        self.text, self.offset, self.starts, self.code = b"", 0, [], None
        self.connection.ask(do="attach", id=terminal, **{"from": offset})

    def step(self):
        frame = self.connection.receive()
        if frame is None:
            return False
        if frame[0] == b"B":
            self.text += frame[1]
            self.offset += len(frame[1])
            if self.acknowledges:
                self.ack()
            return True
        event = json.loads(frame[1])
        if event["type"] == "start":
            self.starts.append(event)
            self.text, self.offset = b"", event["offset"]
        elif event["type"] == "exit":
            self.code = event["code"]
        return True

    def ack(self):
        self.connection.send(b"T", json.dumps({"type": "ack", "offset": self.offset}).encode())

    def until(self, what, holds, limit=PATIENCE):
        deadline = time.monotonic() + limit
        while not holds():
            if time.monotonic() > deadline or not self.step():
                raise Failed(f"terminal: no {what}; the last it said: {self.text[-600:]!r}")
        return self

    def until_text(self, text, limit=PATIENCE):
        return self.until(repr(text), lambda: text in self.text, limit)

    def type(self, text):
        self.connection.send(b"B", text.encode())
        return self

    def resize(self, cols, rows):
        self.connection.send(b"T", json.dumps({"type": "resize", "cols": cols, "rows": rows}).encode())
        return self

    def close(self):
        self.connection.close()


class Keeper:
    def __init__(self, profile):
        self.profile = profile

    def start(self):
        run(LAB, "terminals", self.profile, timeout=60)

    def ask(self, **request):
        connection = Connection(self.profile)
        try:
            return connection.ask(**request)
        finally:
            connection.close()

    def open(self, node, cols=80, rows=24):
        return self.ask(do="open", node=node, cols=cols, rows=rows)["id"]

    def list(self):
        return {t["id"]: t for t in self.ask(do="list")["terminals"]}

    def view(self, terminal, offset=0, acknowledges=True):
        return View(self.profile, terminal, offset, acknowledges)

    def pids(self):
        """Keepers of this lab; there shall be one."""
        out = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = open(f"/proc/{pid}/cmdline").read().split("\0")
            except OSError:
                continue
            if words[1:3] == ["terminals", self.profile]:
                out.append(int(pid))
        return out

    def memory(self):
        """Of the keeper, in bytes, without what it shares with others."""
        text = open(f"/proc/{self.pids()[0]}/smaps_rollup").read()
        return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Dirty", "Private_Clean")))

    def files(self):
        return [f for f in (os.listdir(DIRECTORY) if os.path.isdir(DIRECTORY) else []) if f.startswith(self.profile + ".")]
