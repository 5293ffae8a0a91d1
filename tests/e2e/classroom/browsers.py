#!/usr/bin/python3
"""Terminals through `lab play`: browsers that vanish, do not draw or talk nonsense, and a server that is killed in mid-command."""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from keeper import Keeper  # noqa: E402
from labtest import Failed, Lab, check, main, needed, run, wait_for, LAB  # noqa: E402
from websocket import Refused, WebSocket  # noqa: E402

FLOOD = 100_000_000
TICKS = "for i in $(seq 1 %d); do echo tick $i.; sleep 0.2; done; echo fin''ished\n"


class Served(Lab):
    """One empty node, and a class of one: nothing here needs a cluster."""

    def __init__(self):
        super().__init__(1)
        self.server, self.port, self.cookie, self.keeper = None, 0, None, Keeper(self.profile)

    def serve(self):
        argv = [LAB, "play", "--class", self.profile, "--create", "--listen", "127.0.0.1:0", "--ports-listen", "127.0.0.1:0"]
        self.server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = ""
        while "Your link" not in said:
            line = self.server.stdout.readline()
            check(line, f"the server ended: {said}")
            said += line
        self.port = int(re.search(r"at http://127.0.0.1:(\d+)", said).group(1))
        _, headers, _ = self.ask("GET", re.search(r"/s/\w+", said).group())
        self.cookie = headers["Set-Cookie"].split(";")[0]

    def kill(self):
        self.server.send_signal(signal.SIGKILL)
        self.server.communicate()

    def headers(self):
        return {"Origin": f"http://127.0.0.1:{self.port}", **({"Cookie": self.cookie} if self.cookie else {})}

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(method, path, None if body is None else json.dumps(body), self.headers())
        answer = connection.getresponse()
        out = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return out

    def asks_for_terminal(self, node="node1", cols=80):
        return self.ask("POST", "/api/students/you/terminals", {"node": node, "cols": cols, "rows": 24})

    def open(self):
        status, _, text = self.asks_for_terminal()
        check(status < 300, f"{status} {text}")
        return json.loads(text)["id"]

    def close(self, id):
        status, _, text = self.ask("DELETE", f"/api/students/you/terminals/{id}")
        check(status == 204, f"{status} {text}")

    def terminal(self, id, start=0):
        return WebSocket("127.0.0.1", self.port, f"/api/students/you/terminals/{id}/stream?from={start}", self.headers())

    def events(self):
        return WebSocket("127.0.0.1", self.port, "/api/events", self.headers())

    def end_of(self, id):
        return self.keeper.list()[id]["end"]

    def memory(self):
        text = open(f"/proc/{self.server.pid}/smaps_rollup").read()
        return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_Dirty"))

    def delete(self):
        if self.server and self.server.poll() is None:
            self.server.terminate()
            self.server.communicate(timeout=60)
        run(LAB, "class", "delete", self.profile, "--force")
        return super().delete()  # one that no class had yet


class Drawn:
    """What a page has drawn of a terminal, by its place in the output."""

    def __init__(self, served, id, start=0):
        self.view = served.terminal(id, start)
        head = json.loads(self.view.receive())
        check(head["type"] == "start" and head["offset"] == start, f"asked for {start}, got {head}")
        self.offset, self.text = start, b""

    def until(self, text, limit=120):
        deadline = time.monotonic() + limit
        while text not in self.text:
            message = self.view.receive(max(0.1, deadline - time.monotonic()))
            check(message is not None, f"closed; {self.text[-300:]!r}")
            if isinstance(message, bytes):
                self.text += message
                self.offset += len(message)
                self.view.send({"type": "ack", "offset": self.offset})
        return self

    def vanish(self):
        """As a machine that is switched off: no close frame."""
        self.view.socket.close()


@needed
def serves_a_lab_that_is_there(served):
    served.start("--no-init")
    served.serve()
    try:
        served.terminal("none")
        raise Failed("an unknown terminal was shown")
    except Refused as e:
        check(e.status in (404, 503), str(e))  # 503: no keeper yet
    check(served.asks_for_terminal(node="node9")[0] == 404, "an unknown node")
    check(served.asks_for_terminal(cols=0)[0] == 400, "no columns")
    served.id = served.open()


def a_browser_that_vanishes_in_mid_command_misses_nothing(served):
    first = Drawn(served, served.id)
    first.view.send((TICKS % 10).encode())
    first.until(b"tick 3.")
    first.vanish()
    second = Drawn(served, served.id, first.offset)  # a page that is loaded again knows how far it had drawn
    second.until(b"finished")
    whole = first.text + second.text
    for i in range(1, 11):
        check(whole.count(b"tick %d." % i) == 1, f"tick {i}: {whole.count(b'tick %d.' % i)} times")
    served.drawn = second


def a_server_that_is_killed_in_mid_command_misses_nothing(served):
    teller, other = served.drawn, Drawn(served, served.id, served.drawn.offset)
    teller.text = b""
    teller.view.send((TICKS % 15).encode())
    teller.until(b"tick 2.")
    other.until(b"tick 2.")
    keepers = served.keeper.pids()
    check(len(keepers) == 1, str(keepers))
    served.kill()
    time.sleep(0.5)  # it goes on while nobody serves it
    served.serve()
    check(served.keeper.pids() == keepers, "the keeper is another one")
    for page in (teller, other):
        again = Drawn(served, served.id, page.offset)
        again.until(b"finished")
        whole = page.text + again.text
        check(all(whole.count(b"tick %d.\r" % i) == 1 for i in range(1, 16)), f"{whole[-800:]!r}")
        again.view.send(b"echo al''ive\n")
        again.until(b"alive")
        again.view.close()


def a_page_that_never_draws_costs_neither_side_memory(served):
    """100 MB into a terminal of two pages: one that says nothing of what it has drawn, and one that does not even read."""
    flood = served.open()
    silent, deaf, page = served.terminal(flood), served.terminal(flood), Drawn(served, served.id, served.end_of(served.id))
    keeper, server = served.keeper.memory(), served.memory()
    silent.send(f"yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c {FLOOD}; echo the''end\n".encode())
    answers, largest = 0, [0, 0]
    deaf.send({"type": "ack", "offset": 2**52})  # it claims to have drawn all there will ever be
    begun = time.monotonic()
    while served.end_of(flood) < FLOOD:
        answers += 1
        page.view.send(f"echo an''swer {answers}.\n".encode())
        page.until(f"answer {answers}.".encode())
        largest = [max(largest[0], served.keeper.memory() - keeper), max(largest[1], served.memory() - server)]
    print(f"      {answers} answers within {time.monotonic() - begun:.1f} s; keeper +{largest[0] // 1024} KiB, server +{largest[1] // 1024} KiB")
    check(answers > 0 and largest[0] < 4 << 20 and largest[1] < 16 << 20, f"{answers} answers; memory grew by {largest}")
    silent.send({"type": "ack", "offset": FLOOD})
    silent.until("a new start behind what was skipped", lambda m: m["type"] == "start" and m["offset"] > FLOOD // 2)
    deaf.socket.close()
    silent.close()
    wait_for("its last words", lambda: served.end_of(flood) > FLOOD + FLOOD // 37)
    Drawn(served, flood, served.end_of(flood) - 1000).until(b"theend").vanish()
    served.close(flood)
    page.view.close()


def nonsense_ends_its_own_page_alone(served):
    page = Drawn(served, served.id, served.end_of(served.id))
    for nonsense in ("{", "[]", '{"type": "exec", "command": "id"}', '{"type": "resize", "cols": -1, "rows": 1}', '{"type": "ack"}', "\x00"):
        view = served.terminal(served.id)
        view.send(nonsense)
        while view.receive() is not None:
            pass
        check(view.closed == 1008, f"{nonsense!r} was answered {view.closed}")
        view.socket.close()
    view = served.terminal(served.id)
    view.socket.sendall(os.urandom(4096))  # frames that are none
    view.socket.close()
    page.view.send(b"echo un''moved\n")
    page.until(b"unmoved")
    page.view.close()


def twelve_and_no_more(served):
    have = len(served.keeper.list())
    ids = [served.open() for _ in range(12 - have)]
    status, _, text = served.asks_for_terminal()
    check(status == 429 and b"close one" in text, f"{status} {text}")
    events = served.events()
    state = events.until("them in the state", lambda m: m["state"] if len(m.get("state", {}).get("terminals", [])) == 12 else None)
    check({t["id"] for t in state["terminals"]} >= set(ids), str(state["terminals"]))
    view = served.terminal(ids[0])
    view.send(b"exit 3\n")
    view.until("its exit", lambda m: m["type"] == "exit" and m["code"] == 3)
    events.until("the exit in the state", lambda m: any(t["id"] == ids[0] and t["exited"] == 3 for t in m.get("state", {}).get("terminals", [])))
    view.close()
    for id in ids:
        served.close(id)
    events.until("their end in the state", lambda m: "state" in m and len(m["state"]["terminals"]) == have)
    events.close()


def deleting_leaves_nothing(served):
    view = served.terminal(served.id)
    served.delete()
    check(not served.keeper.pids() and not served.keeper.files(), f"{served.keeper.pids()} {served.keeper.files()}")
    view.socket.close()


if __name__ == "__main__":
    main([serves_a_lab_that_is_there, a_browser_that_vanishes_in_mid_command_misses_nothing, a_server_that_is_killed_in_mid_command_misses_nothing,
          a_page_that_never_draws_costs_neither_side_memory, nonsense_ends_its_own_page_alone, twelve_and_no_more, deleting_leaves_nothing], Served())
