#!/usr/bin/python3
"""Three masters on etcd, one joined by its own command, one over SSH. Processes of one, then a whole master, are killed under
a write load: no acknowledged write is lost, what the clients saw is linearizable, the pause is short, another scheduler
takes over, agents change masters. A master that was wiped, and its etcd member with it, joins again."""
import base64
import http.client
import json
import os
import ssl
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Failed, check, main, needed, wait_for  # noqa: E402
from linearizability import Op, first_contradiction  # noqa: E402
from sshhosts import SshLab  # noqa: E402

TOKEN = "abcdef.0123456789abcdef"
REGISTERS = 3
PAUSE_LIMIT = 10


# A master that vanishes says nothing: a client waits this long for its answer, then about 3 s more should it try to
# connect there again, before it has gone round to a master that lives.
PATIENCE_OF_A_CLIENT = 4


class Api:
    """One client of the API: keeps to a master while it answers, else goes to the next one."""

    def __init__(self, masters, context, first):
        self.masters, self.context, self.at, self.connection = masters, context, first, None

    def call(self, method, path, body=None):
        """(status, object); ConnectionError when the request surely was not received, OSError when that is open."""
        if self.connection is None:
            master = self.masters[self.at % len(self.masters)]
            self.connection = http.client.HTTPSConnection(master, 6443, timeout=PATIENCE_OF_A_CLIENT, context=self.context)
            try:
                self.connection.connect()
            except OSError as e:
                self.give_up()
                raise ConnectionRefusedError(str(e)) from e
        try:
            self.connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as e:
            self.give_up()
            raise OSError(str(e)) from e

    def give_up(self):
        if self.connection:
            self.connection.close()
        self.connection, self.at = None, self.at + 1


class Load:
    """Writers and readers of three registers (ConfigMaps, changed by compare-and-swap on the resourceVersion) and writers of
    new objects, through all masters; and the history of what each was told."""

    def __init__(self, lab):
        self.lab, self.stop, self.lock = lab, threading.Event(), threading.Lock()
        self.history = {k: [] for k in range(REGISTERS)}
        self.acknowledged, self.moments, self.errors = [], [], []
        self.number = 0
        api = lab.api(0)
        for k in self.history:
            status, answer = api.call("POST", "/api/v1/namespaces/default/configmaps", self.register(k, "0"))
            check(status == 201, f"register-{k}: {status} {answer}")
        self.threads = [threading.Thread(target=self.guarded, args=(f, i)) for i in range(len(lab.masters)) for f in (self.swap, self.create)]

    def guarded(self, work, client):
        try:
            work(client)
        except Exception as e:  # a bug of the test must not look like silence
            self.errors.append(repr(e))

    @staticmethod
    def register(k, value, version=None):
        metadata = {"name": f"register-{k}", **({"resourceVersion": version} if version else {})}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"value": value}}

    def fresh(self):
        with self.lock:
            self.number += 1
            return str(self.number)

    def swap(self, client):
        api, k = self.lab.api(client), client
        while not self.stop.is_set():
            k = (k + 1) % REGISTERS
            path = f"/api/v1/namespaces/default/configmaps/register-{k}"
            call = time.monotonic()
            try:
                status, seen = api.call("GET", path)
            except OSError:
                time.sleep(0.05)
                continue
            if status != 200:
                api.give_up()  # a master without its etcd says so: 5xx
                continue
            value = seen["data"]["value"]
            self.history[k].append(Op("read", call, time.monotonic(), value, None, client))
            new, call = self.fresh(), time.monotonic()
            try:
                status, _ = api.call("PUT", path, self.register(k, new, seen["metadata"]["resourceVersion"]))
            except ConnectionRefusedError:
                continue
            except OSError:
                status = 0
            now = time.monotonic()
            if status == 200:
                self.history[k].append(Op("cas", call, now, new, value, client))
                self.moments.append((now, client))
            elif status == 409:
                self.history[k].append(Op("refused", call, now, None, value, client))
            else:
                self.history[k].append(Op("cas", call, None, new, value, client))
                api.give_up()
            time.sleep(0.02)

    def create(self, client):
        api = self.lab.api(client)
        while not self.stop.is_set():
            name = f"ack-{client}-{self.fresh()}"
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
            try:
                status, _ = api.call("POST", "/api/v1/namespaces/default/configmaps", body)
            except OSError:
                time.sleep(0.05)
                continue
            if status == 201:
                self.acknowledged.append(name)
                self.moments.append((time.monotonic(), client))
            else:
                api.give_up()
            time.sleep(0.03)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for t in self.threads:
            t.join()

    def pause(self, since, client=None):
        """The longest time after `since` in which no write was acknowledged: to any client, or to this one."""
        times = sorted([since] + [t for t, c in self.moments if t > since and client in (None, c)])
        return max(b - a for a, b in zip(times, times[1:])) if len(times) > 1 else float("inf")

    def verify(self):
        check(not self.errors, f"the load itself failed: {self.errors[:3]}")
        there, path = set(), "/api/v1/namespaces/default/configmaps?limit=500"
        while path:
            status, page = self.lab.api(1).call("GET", path)
            check(status == 200, f"list: {status}")
            there |= {i["metadata"]["name"] for i in page["items"]}
            more = page["metadata"].get("continue")
            path = f"/api/v1/namespaces/default/configmaps?limit=500&continue={more}" if more else None
        lost = [n for n in self.acknowledged if n not in there]
        check(not lost, f"{len(lost)} of {len(self.acknowledged)} acknowledged writes are lost: {lost[:5]}")
        for k, history in self.history.items():
            contradiction = first_contradiction(history, "0")
            if contradiction:
                explained, stuck = contradiction
                raise Failed(f"register-{k}: the history is not linearizable; after {explained[-3:]} there is no place for {stuck[:5]}")
        ops = sum(map(len, self.history.values()))
        unknown = sum(op.ret is None for h in self.history.values() for op in h)
        return f"{len(self.acknowledged)} objects kept, {ops} operations on {REGISTERS} registers linearizable ({unknown} without an answer)"


class Masters(SshLab):
    masters, context = [], None

    def api(self, first):
        return Api(self.masters, self.context, first)

    def get_api(self, path, first=0):
        api = self.api(first)
        for _ in range(2 * len(self.masters)):
            try:
                status, answer = api.call("GET", path)
                if status == 200:
                    return answer
                api.give_up()
            except OSError:
                continue
        raise Failed(f"no master answers {path}")

    def etcd_leader(self):
        """The name of the node whose etcd leads, asked through etcd's own gateway inside the nodes."""
        pki = "/etc/kubernetes/pki/etcd"
        for name, _, _ in self.nodes():
            text = self.shell(name, "curl", "-s", "--cacert", f"{pki}/ca.crt", "--cert", f"{pki}/healthcheck-client.crt", "--key",
                              f"{pki}/healthcheck-client.key", "-d", "{}", "https://127.0.0.1:2379/v3/maintenance/status")
            status = json.loads(text)
            if status["leader"] == status["header"]["member_id"]:
                return name
        raise Failed("no member leads")

    def holder(self, lease):
        return self.get_api(f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}")["spec"]["holderIdentity"]


def _context(lab):
    config = json.loads(lab.shell("node1", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "config", "view", "--raw", "-o", "json"))
    context = ssl.create_default_context(cadata=base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile("wb") as f:
        for key in ("client-certificate-data", "client-key-data"):
            f.write(base64.b64decode(config["users"][0]["user"][key]))
        f.flush()
        context.load_cert_chain(f.name)
    return context


def _name_masters(lab, node):
    """The control plane's endpoint is a name with the addresses of all masters: clients go from one to the next."""
    hosts = "".join(f"{a} masters\\n" for a in lab.masters)
    lab.shell(node, "sh", "-c", f"printf '{hosts}' >>/etc/hosts; echo multi on >/etc/host.conf")


def _ssh_join_master(lab, name):
    """From the first master, which makes token, certificate key and all."""
    lab.ensure_sshd(name)
    if "masters" not in lab.shell(name, "cat", "/etc/hosts"):  # the lab writes it anew when a node starts
        _name_masters(lab, name)
    lab.expect(0, [r"1 of 1 hosts joined", r"\[control-plane-join\] "], [lab.target(name)], "--control-plane", "--no-taint", "--skip-phases", "images",
               "--accept-new-host-keys")


def _members(lab):
    pki = "/etc/kubernetes/pki/etcd"
    listed = lab.shell("node1", "curl", "-s", "--cacert", f"{pki}/ca.crt", "--cert", f"{pki}/healthcheck-client.crt", "--key",
                       f"{pki}/healthcheck-client.key", "-d", "{}", "https://127.0.0.1:2379/v3/cluster/member/list")
    return {m.get("name"): m["ID"] for m in json.loads(listed)["members"]}


@needed
def three_masters(lab):
    lab.start_hosts()
    nodes = lab.nodes()
    lab.masters = [address for _, address, _ in nodes]
    for name, _, _ in nodes:
        _name_masters(lab, name)
    key = os.urandom(32).hex()
    begun = time.monotonic()
    lab.shell("node1", "lab", "init", "--store", "etcd", "--upload-certs", "--certificate-key", key, "--control-plane-endpoint", "masters",
              "--token", TOKEN, "--no-taint", "--node-name", "node1", "--node-monitor-grace-period", "8s", "--skip-phases", "images")
    info = lab.shell("node1", "lab", "token", "create", "--print-join-command")
    pin = info[info.index("sha256:"):].split()[0]
    lab.shell("node2", "lab", "join", "masters:6443", "--token", TOKEN, "--discovery-token-ca-cert-hash", pin, "--control-plane",
              "--certificate-key", key, "--no-taint", "--node-name", "node2", "--skip-phases", "images")
    _ssh_join_master(lab, "node3")
    lab.context = _context(lab)
    wait_for("three masters in the kubernetes Service", lambda: [a["ip"] for s in lab.get_api(
        "/api/v1/namespaces/default/endpoints/kubernetes")["subsets"] for a in s["addresses"]] == sorted(lab.masters))
    wait_for("three nodes ready", lambda: len(_ready(lab)) == 3)
    print(f"      three masters after {time.monotonic() - begun:.1f} s")


def _ready(lab):
    return [n["metadata"]["name"] for n in lab.get_api("/api/v1/nodes")["items"]
            if any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])]


def wrong_key_is_refused(lab):
    done = lab.shell("node2", "lab", "join", "masters:6443", "--token", TOKEN, "--discovery-token-unsafe-skip-ca-verification", "--control-plane",
                     "--certificate-key", "0" * 64, "--node-name", "node2", "--ignore-preflight-errors", "all", check=False)
    check(done.returncode != 0 and "another key" in done.stdout + done.stderr, f"joined with a wrong key: {done.stdout}{done.stderr}")


def leader_killed_under_writes(lab):
    with Load(lab) as load:
        wait_for("writes", lambda: len(load.acknowledged) > 30)
        victim = lab.etcd_leader()
        pids = lab.pids(victim, "/usr/bin/etcd") + lab.shell(victim, "pgrep", "-f", "^/opt/lab/.*/lab server").split()
        check(len(pids) == 2, f"etcd and server on {victim}: {pids}")
        killed = time.monotonic()
        lab.shell(victim, "kill", "-9", *pids)
        wait_for("each client's writes after the kill", lambda: all(
            sum(1 for t, c in list(load.moments) if c == client and t > killed) > 20 for client in range(3)))
        time.sleep(3)  # what a late election or restart does is to fall into the load
    pauses = [load.pause(killed, c) for c in range(3)]
    print(f"      {victim} (etcd's leader): {load.verify()}")
    print(f"      longest pause: {load.pause(killed):.2f} s for all clients together, {max(pauses):.2f} s for one of them")
    check(max(pauses) < PAUSE_LIMIT, f"a client's writes paused for {max(pauses):.1f} s")


def _kill_node(lab, name):
    """All of a node's processes end at once, as at a power cut."""
    pid = int(open(f"/var/lib/lab/profiles/{lab.profile}/nodes/{name}/pid").read().split()[0])
    os.kill(pid, 9)  # its PID 1: the kernel ends all the others


def master_lost_under_writes(lab):
    wait_for("three nodes ready", lambda: len(_ready(lab)) == 3)
    before = lab.holder("kube-scheduler")
    victim = before.split("_")[0]
    left = [n for n, _, _ in lab.nodes() if n != victim]
    with Load2(lab) as load:
        wait_for("writes", lambda: len(load.acknowledged) > 30)
        killed = time.monotonic()
        _kill_node(lab, victim)
        wait_for("another scheduler", lambda: lab.holder("kube-scheduler") not in ("", before))
        taken = time.monotonic() - killed
        wait_for("other controllers", lambda: lab.holder("kube-controller-manager").split("_")[0] in left)
        wait_for("each client's writes after the loss", lambda: all(
            sum(1 for t, c in list(load.moments) if c == client and t > killed) > 20 for client in range(3)))
    pauses = [load.pause(killed, c) for c in range(3)]
    print(f"      {victim} (its scheduler acted): {load.verify()}")
    print(f"      longest pause: {max(pauses):.2f} s for a client; another scheduler after {taken:.1f} s")
    check(max(pauses) < PAUSE_LIMIT, f"a client's writes paused for {max(pauses):.1f} s")
    wait_for("the lost master is out of the kubernetes Service", lambda: sum(len(s["addresses"]) for s in lab.get_api(
        "/api/v1/namespaces/default/endpoints/kubernetes")["subsets"]) == 2)
    wait_for("the other nodes are ready, this one is not", lambda: sorted(_ready(lab)) == sorted(left))
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "after"}, "spec": {"containers": [{"name": "c", "image": "none"}]}}
    addresses = {name: address for name, address, _ in lab.nodes()}
    status, answer = Api([addresses[left[0]]], lab.context, 0).call("POST", "/api/v1/namespaces/default/pods", pod)
    check(status == 201, f"{status} {answer}")
    wait_for("a pod is scheduled", lambda: lab.get_api("/api/v1/namespaces/default/pods/after")["spec"].get("nodeName") in left)


class Load2(Load):
    """The same load again, on the objects that are there."""

    def __init__(self, lab):
        api = lab.api(0)
        for k in range(REGISTERS):
            api.call("DELETE", f"/api/v1/namespaces/default/configmaps/register-{k}")
        super().__init__(lab)
        self.number = 1_000_000


def a_master_that_is_reset_leaves_etcd(lab):
    """Not the lost one: of two that run, none may go, since two of three are needed. The lost one comes back first."""
    lost = [n for n, _, _ in lab.nodes() if n not in _ready(lab)]
    check(len(lost) == 1, f"lost: {lost}")
    lab.cmd("node start", lost[0])
    _name_masters(lab, lost[0])  # a started node has its first /etc/hosts
    wait_for("three nodes ready", lambda: len(_ready(lab)) == 3)
    wait_for("three masters", lambda: sum(len(s["addresses"]) for s in lab.get_api(
        "/api/v1/namespaces/default/endpoints/kubernetes")["subsets"]) == 3)
    lab.shell("node3", "lab", "reset", "--force")
    check(sorted(_members(lab)) == ["node1", "node2"], f"members: {_members(lab)}")
    status, _ = lab.api(0).call("POST", "/api/v1/namespaces/default/configmaps",
                                {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "after-reset"}})
    check(status == 201, f"a write with two masters: {status}")


def an_etcd_member_that_was_lost_is_replaced(lab):
    """A master's disk is gone, and nobody told etcd: the machine joins over SSH under its name, with a new member."""
    _ssh_join_master(lab, "node3")
    wait_for("three nodes ready", lambda: len(_ready(lab)) == 3)
    before = _members(lab)
    check(sorted(before) == ["node1", "node2", "node3"], f"members: {before}")
    # What a new disk brings: no daemon, no file.
    lab.shell("node3", "lab", "reset", "phase", "cleanup-node", "stop-services", "--force")
    lab.shell("node3", "sh", "-c", "rm -rf /etc/kubernetes /var/lib/lab/etcd /var/lib/lab/server /var/lib/kubelet /etc/lab/node.json")
    _ssh_join_master(lab, "node3")
    after = _members(lab)
    check(sorted(after) == sorted(before) and after["node3"] != before["node3"], f"members: {before}, then {after}")
    wait_for("three masters", lambda: sum(len(s["addresses"]) for s in lab.get_api(
        "/api/v1/namespaces/default/endpoints/kubernetes")["subsets"]) == 3)
    status, _ = lab.api(2).call("GET", "/api/v1/namespaces/default/configmaps/after-reset")
    check(status == 200, f"what was written while it was away: {status}")


if __name__ == "__main__":
    main([three_masters, wrong_key_is_refused, leader_killed_under_writes, master_lost_under_writes, a_master_that_is_reset_leaves_etcd,
          an_etcd_member_that_was_lost_is_replaced], Masters(hosts=2))
