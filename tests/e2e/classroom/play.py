#!/usr/bin/python3
"""`lab play`: one student at work through the interface alone, and people who try what they may not."""
import hashlib
import http.client
import json
import os
import random
import re
import signal
import socket
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Failed, Lab, check, main, needed, run, wait_for, LAB  # noqa: E402
from websocket import Refused, WebSocket  # noqa: E402

GUESSES = 10_000
CA = "/var/lib/lab/classroom-tls/ca.crt"
# Answers with the request's head; an upgrade is answered by one, after which lines come back in capitals.
ECHO = r"""
import http.server, socketserver
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        if self.path == '/moved':
            self.send_response(302)
            self.send_header('Location', '/there')
            self.send_header('Set-Cookie', 'lab_session=mine; Path=/api')
            self.send_header('Set-Cookie', 'color=red; Path=/')
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        if self.path == '/endless':
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(b'x' * 65536)
        if 'Upgrade' in self.headers:
            self.connection.sendall(b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
            for line in self.rfile:
                self.connection.sendall(line.upper())
            return
        body = (self.path + '\n' + str(self.headers)).encode()
        length = int(self.headers.get('Content-Length') or 0)
        body += b'%d bytes' % len(self.rfile.read(length))
        self.send_response(200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *a): pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer): pass
Server(('0.0.0.0', 9000), Echo).serve_forever()
"""


def two_ports():
    """Two neighbours that are free, outside of the range from which others are given theirs while the server is down."""
    for _ in range(200):
        port = random.randrange(20000, 32000)
        try:
            for p in (port, port + 1):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", p))
            return port
        except OSError:
            continue
    raise Failed("no two free ports")


# Two steps of which the second has every fault that an exercise's checks can have while it runs.
EXERCISE = """
title: {en: Two steps}
minutes: 5
nodes: 1
steps:
- name: create
  checks:
  - say: {en: web is ready}
    object: {apiVersion: apps/v1, kind: Deployment, name: web, where: [{path: .status.readyReplicas, at-least: 1}]}
  hint: {en: kubectl create deployment}
  solve: [{run: kubectl create deployment web --image=dockercoins/rng:v0.1}]
- name: broken
  checks:
  - say: {en: No such node}
    command: {node: node9, run: "true"}
  - say: {en: Output without end}
    command: {run: "yes", matches: zzz}
  - say: {en: An answer without end}
    http: {url: "http://$node1:9000/endless", matches: zzz}
  - say: {en: A pattern that takes long}
    command: {run: "head -c 300000 /dev/zero | tr -c y x", matches: "(x|y)*z"}
  hint: {en: none}
  solve: [{run: "true"}]
"""


class Play(Lab):
    def __init__(self):
        super().__init__(1)
        self.directory = tempfile.mkdtemp(prefix="lab-exercise-")
        os.mkdir(os.path.join(self.directory, "en"))
        for name, text in (("exercise.yaml", EXERCISE), ("en/create.md", "# Make it\n\n```run\nkubectl create\n```\n"), ("en/broken.md", "# Broken\n")):
            with open(os.path.join(self.directory, name), "w") as f:
                f.write(text)
        self.server, self.port, self.cookie, self.student = None, two_ports(), None, "you"

    def serve(self, *flags):
        argv = [LAB, "play", "--class", self.profile, "--create", "--nodes", str(self.count), "--exercise", self.directory,
                "--language", "en", "--listen", f"127.0.0.1:{self.port}", *flags]
        self.server = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = []
        threading.Thread(target=lambda: lines.extend(iter(self.server.stdout.readline, "")), daemon=True).start()
        def told():
            if self.server.poll() is not None:
                raise SystemExit(f"the server ended: {''.join(lines)}")
            return re.search(r"Your link: .*A teacher's: \S+\n", "".join(lines), re.S)
        wait_for("the server's links", told)
        self.said = "".join(lines)
        self.port, self.ports = (int(n) for n in re.search(r"at https?://127.0.0.1:(\d+) .*port (\d+)\)", self.said).groups())
        self.link = re.search(r"/s/\w+", self.said).group()
        self.teacher_link = re.search(r"/t/\w+", self.said).group()

    def kill(self):
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()

    def ask(self, method, path, body=None, cookie=..., origin=..., port=None, **headers):
        """(status, headers, body) of one request; the student's, unless told otherwise."""
        port = port or self.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        cookie = self.cookie if cookie is ... else cookie
        origin = f"http://127.0.0.1:{port}" if origin is ... else origin
        for name, value in (("Cookie", cookie), ("Origin", origin)):
            if value:
                headers[name] = value
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), text

    def api(self, method, path, body=None, expect=(200, 201, 202, 204), **kw):
        status, _, text = self.ask(method, path, body, **kw)
        if status not in expect:
            raise Failed(f"{method} {path}: {status} {text[:500]!r}")
        return json.loads(text) if text else None

    def mine(self, path=""):
        return f"/api/students/{self.student}{path}"

    def events(self, cookie=...):
        cookie = self.cookie if cookie is ... else cookie
        return WebSocket("127.0.0.1", self.port, "/api/events", {"Cookie": cookie, "Origin": f"http://127.0.0.1:{self.port}"})

    def terminal(self, id, start=0):
        return WebSocket("127.0.0.1", self.port, self.mine(f"/terminals/{id}/stream?from={start}"),
                         {"Cookie": self.cookie, "Origin": f"http://127.0.0.1:{self.port}"})

    def log_in(self, link):
        status, headers, _ = self.ask("GET", link, cookie=None, origin=None)
        check(status == 303 and headers["Location"] == "/", f"{status} {headers}")
        field = headers["Set-Cookie"]
        check("HttpOnly" in field and "SameSite=Strict" in field, field)
        return field.split(";")[0]

    def delete(self):
        if self.server and self.server.poll() is None:
            self.server.terminate()
            self.server.wait(60)
        shutil.rmtree(self.directory)
        return run(LAB, "class", "delete", self.profile, "--force")


def state_of(message):
    return message["state"] if message["type"] == "state" else {}


def output_until(view, text, limit=120):
    """Reads a terminal until the text has come; gives all of it."""
    seen, deadline = b"", time.monotonic() + limit
    while text not in seen:
        message = view.receive(max(0.1, deadline - time.monotonic()))
        if message is None:
            raise Failed(f"the terminal was closed; it said {seen[-500:]!r}")
        if isinstance(message, bytes):
            seen += message
    return seen


@needed
def serves(play):
    play.serve()
    status, headers, text = play.ask("GET", "/", cookie=None, origin=None)
    check(status in (200, 503), f"{status} {text[:200]}")  # 503: the page was not built, and it says so
    policy = headers["Content-Security-Policy"]
    check("script-src 'self'" in policy and "frame-ancestors 'none'" in policy, policy)
    check(headers["X-Content-Type-Options"] == "nosniff", str(headers))


@needed
def a_link_becomes_a_cookie(play):
    status, headers, text = play.ask("GET", "/api/me", cookie=None)
    check(status == 401 and json.loads(text)["reason"] == "Unauthorized", f"{status} {text}")
    check(headers["Cache-Control"] == "no-store", str(headers))
    play.cookie = play.log_in(play.link)
    me = play.api("GET", "/api/me")
    check(me["role"] == "student" and me["student"] == play.student and me["class"] == play.profile, str(me))
    check(play.link[3:] not in play.cookie, "the cookie holds the link's secret")
    check(play.ask("GET", "/t/" + play.link[3:], cookie=None)[0] == 403, "a student's secret as a teacher's")


@needed
def the_lab_starts_while_the_page_sees_it(play):
    events = play.events()
    first = events.until("the first state", state_of, 20)
    check(first["lab"] == "none" and first["job"] is None, str(first)[:500])
    job = play.api("POST", play.mine("/start"))
    check(job["job"], str(job))
    check(play.ask("POST", play.mine("/start"))[0] == 409, "a second job while one runs")
    lines = set()

    def running(message):
        state = state_of(message)
        if state.get("job"):
            check(not state["job"]["error"], str(state["job"]))
            lines.add(state["job"]["line"])
        return state if state.get("lab") == "running" and not state["job"] and state["exercise"] else None
    state = events.until("a lab that runs", running, 240)
    check(len(lines) > 2, f"progress: {lines}")
    exercise = state["exercise"]
    check(exercise["title"] == "Two steps" and exercise["current"] == 0 and len(exercise["steps"]) == 2, str(exercise)[:500])
    check("```run" in exercise["steps"][0]["text"], exercise["steps"][0]["text"])
    check([n["name"] for n in state["nodes"]] == ["node1"], str(state["nodes"]))
    versions = events.until("memory and processor time of the nodes",
                            lambda m: [state_of(m)["version"]] if all(n["memoryBytes"] > 2**20 for n in state_of(m).get("nodes") or [{"memoryBytes": 0}]) else None, 30)
    check(versions[0] > first["version"], "versions grow")
    hint = play.api("POST", play.mine("/exercise/hint"))["text"]
    check("kubectl" in hint, hint)
    play.page = events


def a_check_turns_green_by_what_is_typed(play):
    play.shell_id = play.api("POST", play.mine("/terminals"), {"node": "node1", "cols": 100, "rows": 30})["id"]
    view = play.terminal(play.shell_id)
    start = json.loads(view.receive())
    check(start["type"] == "start" and start["cols"] == 100, str(start))
    view.send(b"kubectl create deployment web --image=dockercoins/rng:v0.1; echo do''ne\n")
    output_until(view, b"done\r\n")
    def green(message):
        exercise = state_of(message).get("exercise")
        return exercise if exercise and exercise["current"] == 1 else None
    exercise = play.page.until("the first step done, unasked", green, 120)
    check(exercise["steps"][0]["checks"][0]["passed"] and not exercise["steps"][1]["done"], str(exercise)[:800])
    terminals = wait_for("the terminal in the state", lambda: play.api("GET", play.mine())["terminals"])
    check(terminals[0]["id"] == play.shell_id and terminals[0]["node"] == "node1", str(terminals))
    view.close()


def ports_of_the_lab_open_through_the_second_port(play):
    view = play.terminal(play.shell_id)
    view.send(b"kubectl expose deployment web --type NodePort --port 80; echo ex''posed\n")
    output_until(view, b"exposed\r\n")
    port = play.page.until("the NodePort", lambda m: [p for p in state_of(m).get("ports", []) if p["service"]], 60)[0]
    told = play.api("GET", play.mine())["ports"]
    check(told and told[0]["url"] == port["url"], f"asked for once: {told}")
    check(all(p["service"] for p in told), f"the nodes' own daemons: {told}")
    check(port["service"] == "default/web" and port["url"].startswith(f"http://127.0.0.1:{play.ports}/{play.student}/"), str(port))
    path = port["url"].split(str(play.ports), 1)[1]
    page = wait_for("the service through the second port", lambda: (lambda a: a[2] if a[0] == 200 else None)(play.ask("GET", path, port=play.ports)))
    check(b"RNG" in page.upper(), page[:200])
    check(play.ask("GET", path, port=play.ports, cookie=None)[0] == 401, "without a cookie")
    check(play.ask("GET", path.replace(play.student, "other"), port=play.ports)[0] == 403, "another student's")
    check(play.ask("GET", f"/{play.student}/127.0.0.1/{play.port}/", port=play.ports)[0] == 404, "no node's name")
    view.close()


def files_go_up_and_stay_in_the_node(play):
    files = play.mine("/files/")
    check(play.ask("PUT", files + "dir/echo.py?node=node1", ECHO.encode())[0] == 204, "an upload")
    check(play.shell("node1", "cat", "/root/upload/dir/echo.py").strip() == ECHO.strip(), "what came of it")
    for path in ("../x", "%2e%2e/x", "a/../../x", "a%2f..%2f..%2fx", "/etc/x", "a//b", ""):
        status = play.ask("PUT", files + path + "?node=node1", b"x")[0]
        check(status in (400, 404), f"{path}: {status}")
    check(play.ask("PUT", files + "x?node=../node1", b"x")[0] == 404, "a node that is a path")
    play.shell("node1", "sh", "-c", "ln -s /etc /root/upload/out; ln -s /root/upload/victim /root/upload/link; echo kept > /root/upload/victim")
    check(play.ask("PUT", files + "out/evil?node=node1", b"x")[0] in (400, 422), "through a link")
    play.ask("PUT", files + "link?node=node1", b"x")
    check(play.shell("node1", "cat", "/root/upload/victim") == "kept\n", "a link was followed")
    check(not os.path.exists("/etc/evil") and play.shell("node1", "sh", "-c", "ls /etc/evil", check=False).returncode != 0, "it got out")
    check(play.ask("PUT", files + "large?node=node1", b"x" * (17 << 20))[0] == 413, "17 MiB")


def the_proxy_passes_on_and_takes_the_session_out(play):
    view = play.terminal(play.shell_id)
    view.send(b"python3 ~/upload/dir/echo.py & sleep 1; echo li''stens\n")
    output_until(view, b"listens\r\n")
    view.close()
    base = f"/{play.student}/node1/9000"
    def asked():
        answer = play.ask("GET", base + "/a%20b?x=1", port=play.ports, cookie=play.cookie + "; color=red")
        return answer if answer[0] == 200 else None
    said = wait_for("the echo", asked)[2].decode()
    mine = wait_for("what the program listens on, as a link", lambda: [p for p in play.api("GET", play.mine())["ports"] if not p["service"]])
    check([(p["port"], p["url"]) for p in mine] == [(9000, f"http://127.0.0.1:{play.ports}{base}/")], f"links: {mine}")
    check(said.startswith("/a%20b?x=1\n") and "X-Forwarded-Prefix: " + base in said, said)
    check("lab_session" not in said and "color=red" in said, said)
    status, headers, _ = play.ask("GET", base + "/moved", port=play.ports)
    check(status == 302 and headers["Location"] == base + "/there", str(headers))
    check(headers["Set-Cookie"] == f"color=red; Path={base}/", str(headers))
    check(b"2000000 bytes" in play.ask("POST", base + "/", b"x" * 2_000_000, port=play.ports)[2], "a large body")
    check(play.ask("POST", base + "/", b"x", port=play.ports, origin="http://evil.example")[0] == 403, "of another page")
    moved = play.ask("GET", "/style.css?v=1", port=play.ports, Referer=f"http://127.0.0.1:{play.ports}{base}/page")
    check(moved[0] == 307 and moved[1]["Location"] == base + "/style.css?v=1", str(moved))
    ws = WebSocket("127.0.0.1", play.ports, base + "/", {"Cookie": play.cookie, "Upgrade": "echo"})
    ws.socket.sendall(b"hello\n")
    while b"\n" not in ws.rest:
        ws._more(30)
    check(ws.rest == b"HELLO\n", str(ws.rest))
    ws.socket.close()
    check(play.ask("GET", f"/{play.student}/node1/9", port=play.ports)[0] in (308, 502), "nobody listens")
    check(play.ask("GET", f"/{play.student}/node1/9/", port=play.ports)[0] == 502, "nobody listens")


def a_broken_check_says_so_and_ends_nothing(play):
    def all_seen(message):
        steps = (state_of(message).get("exercise") or {}).get("steps") or []
        checks = steps[1]["checks"] if steps else []
        return checks if checks and all(c["seen"] and not c["passed"] for c in checks) else None
    checks = play.page.until("what each of the broken checks saw", all_seen, 120)
    check("node9" in checks[0]["seen"], str(checks[0]))
    check(checks[1]["seen"] and checks[3]["seen"].startswith("exit code 0"), str(checks)[:2000])
    check(play.api("GET", "/api/me")["role"] == "student" and play.server.poll() is None, "the server")


def strangers_are_refused(play):
    start = play.mine("/start")
    for origin in ("http://evil.example", f"http://127.0.0.1:{play.ports}", "null", None):
        check(play.ask("POST", start, origin=origin)[0] == 403, f"origin {origin}")
        try:
            WebSocket("127.0.0.1", play.port, "/api/events", {"Cookie": play.cookie, "Origin": origin})
            check(False, f"a WebSocket from {origin}")
        except Refused as e:
            check(e.status == 403, str(e))
    check(play.ask("GET", "/api/students/other")[0] == 403, "another student")
    check(play.ask("GET", "/api/class")[0] == 403, "the teacher's")
    check(play.ask("GET", play.mine(), cookie="lab_session=" + "0" * 64)[0] == 401, "a forged cookie")
    check(play.ask("GET", play.mine(), cookie=play.cookie + "; lab_session=x")[0] == 401, "two sessions")
    check(play.ask("POST", play.mine("/exercise"), {"name": "/etc", "language": "en"})[0] == 404, "a path for an exercise")
    check(play.ask("POST", play.mine("/exercise"), b"{bad")[0] == 400, "bad JSON")
    check(play.ask("GET", "/../../etc/passwd", cookie=None)[0] in (200, 404, 503), "a path out")


def a_teacher_reaches_the_ports_of_whom_they_look_at(play):
    teacher = play.log_in(play.teacher_link)
    path = f"/{play.student}/node1/9000/"
    check(play.ask("GET", path, port=play.ports, cookie=teacher)[0] == 403, "nobody is looked at")
    page = play.events(teacher)
    row = page.until("the class", lambda m: m["type"] == "class" and m["class"]["students"][0], 20)
    check(row["student"] == play.student and row["passed"] == 1 and row["lab"] == "running" and row["online"], str(row))
    page.send({"type": "follow", "student": play.student})
    page.until("the student's state", lambda m: m["type"] == "state", 20)
    check(play.ask("GET", path, port=play.ports, cookie=teacher)[0] == 200, "the one who is looked at")
    page.close()
    wait_for("the end of it", lambda: play.ask("GET", path, port=play.ports, cookie=teacher)[0] == 403)


def ten_thousand_guesses_open_nothing(play):
    statuses, opened, lock, left = {}, [], threading.Lock(), iter(range(GUESSES))

    def guess():
        connection = http.client.HTTPConnection("127.0.0.1", play.port, timeout=120)
        while True:
            with lock:
                n = next(left, None)
            if n is None:
                return
            secret = (play.link[3:-5] + f"{n:05d}").replace("0", "a").replace("1", "b").replace("8", "c").replace("9", "d")
            connection.request("GET", "/s/" + secret)
            answer = connection.getresponse()
            answer.read()
            with lock:
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
                if answer.getheader("Set-Cookie") and "/s/" + secret != play.link:
                    opened.append(secret)
    threads = [threading.Thread(target=guess) for _ in range(24)]
    begun = time.monotonic()
    for t in threads:
        t.start()
    time.sleep(0.5)
    check(play.log_in(play.link) == play.cookie, "the right link meanwhile")
    check(play.api("GET", "/api/me")["role"] == "student", "who is in stays in")
    for t in threads:
        t.join(180)
    check(not opened and set(statuses) <= {403, 429} and sum(statuses.values()) == GUESSES, f"{statuses} {opened}")
    check(statuses[403] < GUESSES / 10, f"they were answered quickly: {statuses} in {time.monotonic() - begun:.0f} s")


def a_killed_server_loses_nothing(play):
    before = play.api("GET", play.mine())
    play.page.close()
    play.kill()
    play.serve()
    view = play.terminal(play.shell_id)
    said = output_until(view, b"listens\r\n")
    check(b"kubectl create deployment" in said, said[-300:])
    view.send(b"echo still $((40 + 2))\n")
    output_until(view, b"still 42\r\n")
    view.close()
    play.page = play.events()
    def again(message):
        state = state_of(message)
        return state if state.get("lab") == "running" and state["exercise"] and state["terminals"] else None
    state = play.page.until("the state as it was", again, 60)
    check(state["exercise"]["current"] == before["exercise"]["current"] == 1, "progress")
    check(state["terminals"][0]["id"] == play.shell_id, str(state["terminals"]))


def a_job_that_is_cut_off_is_told_and_completed(play):
    play.api("POST", play.mine("/nodes"))
    play.page.until("work on the second node", lambda m: (state_of(m).get("job") or {}).get("line"), 60)
    play.kill()
    play.serve()
    job = wait_for("what became of the job", lambda: play.api("GET", play.mine())["job"])
    check(job["what"] == "node" and "cut off" in job["error"], str(job))
    play.page = play.events()
    have = len(play.nodes())
    if have == 1:  # it was cut before it had written the node down
        play.api("POST", play.mine("/nodes"))
    else:
        play.api("DELETE", play.mine("/nodes/node2"))
    play.page.until("the end of the second try", lambda m: state_of(m) and not state_of(m)["job"] and len(state_of(m)["nodes"]) == 3 - have, 180)


def tls_of_its_own(play):
    """With a certificate that is made, over both ports, checked by curl with its CA; then with one that is given."""
    play.page.close()
    play.server.terminate()
    play.server.wait(60)
    had_one = os.path.exists(CA)
    try:
        play.serve("--tls")
        shown = re.search(r"SHA-256\): ([0-9A-F:]{95})\n", play.said).group(1)
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", play.port)))
        check(hashlib.sha256(der).hexdigest().upper() == shown.replace(":", ""), f"the fingerprint: {play.said}")
        check(f"https://127.0.0.1:{play.port}/s/" in play.said and CA in play.said, play.said)

        def curl(*argv, **kw):
            return run("curl", "-sS", "--max-time", "30", "--cacert", CA, "-b", play.cookie, *argv, **kw)
        page, ports = f"https://127.0.0.1:{play.port}", f"https://127.0.0.1:{play.ports}"
        check(json.loads(curl(page + "/api/me"))["student"] == play.student, "the interface")
        check(json.loads(curl(f"https://localhost:{play.port}/api/me", "--resolve", f"localhost:{play.port}:127.0.0.1"))["class"] == play.profile, "by name")
        refused = run("curl", "-sS", page + "/", check=False)
        check(refused.returncode == 60, f"who does not trust the CA: {refused.returncode} {refused.stderr}")
        clear = run("curl", "-sSi", f"http://127.0.0.1:{play.port}{play.link}")
        check(" 400 " in clear and "HTTPS" in clear and "Set-Cookie" not in clear, f"in the clear: {clear}")
        cookie = run("curl", "-sSi", "--cacert", CA, page + play.link)
        check("; Secure" in cookie, cookie)
        for origin, status in ((page, "404"), (page.replace("https", "http"), "403")):  # there is no such exercise
            said = curl("-o", "/dev/null", "-w", "%{http_code}", "-H", f"Origin: {origin}", "--json", '{"name": "/etc"}', page + play.mine("/exercise"))
            check(said == status, f"{origin}: {said}")
        link = wait_for("links of the second port", lambda: json.loads(curl(page + play.mine()))["ports"])[0]["url"]
        check(link.startswith(ports + "/"), link)
        echo = wait_for("the second port", lambda: curl("-f", f"{ports}/{play.student}/node1/9000/x"))
        check("X-Forwarded-Proto: https" in echo and "lab_session" not in echo, echo)
        trust = ssl.create_default_context(cafile=CA)
        events = WebSocket("127.0.0.1", play.port, "/api/events", {"Cookie": play.cookie, "Origin": page}, tls=trust)
        check(events.until("the state", state_of, 20)["student"] == play.student, "events")
        events.close()
        ws = WebSocket("127.0.0.1", play.ports, f"/{play.student}/node1/9000/", {"Cookie": play.cookie, "Upgrade": "echo"}, tls=trust)
        ws.socket.sendall(b"hello\n")
        while b"\n" not in ws.rest:
            ws._more(30)
        check(ws.rest == b"HELLO\n", str(ws.rest))
        ws.socket.close()
        play.server.terminate()
        play.server.wait(60)
        where = os.path.dirname(CA)
        play.serve("--tls-cert", f"{where}/server.crt", "--tls-key", f"{where}/server.key")
        check(shown in play.said and CA not in play.said, play.said)
        check(json.loads(curl(f"https://127.0.0.1:{play.port}/api/me"))["role"] == "student", "with a given certificate")
        wrong = run(LAB, "play", "--class", play.profile, "--tls-cert", f"{where}/server.crt", check=False)
        check(wrong.returncode == 1 and "--tls-key" in wrong.stderr, wrong.stderr)
    finally:
        if not had_one:
            shutil.rmtree(os.path.dirname(CA), ignore_errors=True)


def ends_in_order_and_the_lab_goes_on(play):
    play.server.terminate()
    check(play.server.wait(60) == 0, f"exit code {play.server.returncode}")
    check(all(n[2] == "Running" for n in play.nodes()), str(play.nodes()))
    check(play.kubectl("get", "deployment", "web", "-o", "name").strip() == "deployment.apps/web", "the cluster")


if __name__ == "__main__":
    main([serves, a_link_becomes_a_cookie, the_lab_starts_while_the_page_sees_it, a_check_turns_green_by_what_is_typed,
          ports_of_the_lab_open_through_the_second_port, files_go_up_and_stay_in_the_node, the_proxy_passes_on_and_takes_the_session_out,
          a_broken_check_says_so_and_ends_nothing, strangers_are_refused, a_teacher_reaches_the_ports_of_whom_they_look_at, ten_thousand_guesses_open_nothing,
          a_killed_server_loses_nothing, a_job_that_is_cut_off_is_told_and_completed, tls_of_its_own, ends_in_order_and_the_lab_goes_on], Play())
