"""A lab that encrypts where the kernel has WireGuard: it is used, it alone is on the wire, and what happens to it costs no
packet. Its steps are a part of guest.py."""
import json
import re
import subprocess
import threading

from labtest import check, needed, run, wait_for

NODES = ("node1", "node2")


def _net(lab, what, *args, **kw):
    return lab.cmd("net " + what, *args, **kw)


def _line(lab, node, text):
    """The line of the one connection, once it says this."""
    def found():
        lines = _net(lab, "status", "connections", "--node", node).splitlines()
        return next((line for line in lines if text in line), None)
    return wait_for(f"{node}: {text}", found)


def _wireguard(lab, node):
    return json.loads(_net(lab, "report", "--node", node))["wireguard"]


def _nft(lab, node, rules):
    lab.shell(node, "nft", "add table ip t; flush table ip t; add chain ip t c { type filter hook prerouting priority -400; }; " +
              "; ".join(f"add rule ip t c {r}" for r in rules))


def _counters(lab, node):
    """Packets and bytes of the rules, in their order."""
    return [(int(p), int(b)) for p, b in re.findall(r"counter packets (\d+) bytes (\d+)", lab.shell(node, "nft", "list", "table", "ip", "t"))]


class Pings:
    """Full-size packets from pod to pod every 50 ms while the block runs; none may be lost."""

    def __init__(self, lab, count):
        self.lab, self.count, self.out = lab, count, ""

    def __enter__(self):
        def ping():
            try:
                self.out = self.lab.kubectl("exec", "near", "--", "ping", "-c", self.count, "-i", "0.05", "-s", "1412", "-W", "3", self.lab.far,
                                            check=False, timeout=240).stdout
            except subprocess.TimeoutExpired as e:
                self.out = str(e)
        self.thread = threading.Thread(target=ping)
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        self.thread.join()
        if kind is None:
            print(self.out[-160:].strip(), flush=True)
            check(f"{self.count} packets received" in self.out, self.out[-2000:])


@needed
def a_lab_that_encrypts(lab):
    lab.start("--encrypt")
    wait_for("both nodes Ready", lambda: len(lab.ready_nodes()) == 2)
    for name, node in (("near", "node1"), ("far", "node2")):
        lab.kubectl("apply", "-f", "-", stdin=json.dumps({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0,
                     "containers": [{"name": "c", "image": "busybox", "command": ["sleep", "36000"]}]}}))
    lab.kubectl("wait", "--for=condition=Ready", "pod/near", "pod/far", "--timeout=300s", timeout=320)
    lab.far = lab.get("pod", "far")["status"]["podIP"]


@needed
def wireguard_is_used(lab):
    for node, other in zip(NODES, reversed(NODES)):
        print(_line(lab, node, f" established encrypted wireguard {other} mtu=1440"), flush=True)
        wait_for(f"the summary of {node}", lambda: "Encryption: on: WireGuard, in the kernel\n" in _net(lab, "status", "--node", node))
    print(_net(lab, "status").split("\n\n")[1], flush=True)
    print(lab.shell("node1", "ip", "-d", "link", "show", "lab-wg"), flush=True)
    check("wireguard" in run("lsmod"), "the module is not loaded")


def pods_talk_with_packets_of_full_size(lab):
    out = wait_for("a test without failures", lambda: (lambda r: r.returncode == 0 and r.stdout)(_net(lab, "test", check=False)))
    print(out, flush=True)
    check(out.count(" 1440 ") == 2, out)
    trace = _net(lab, "trace", "near", "far")
    print(trace, flush=True)
    check("lab-wg on node1" in trace and "BROKEN" not in trace, trace)


def nothing_else_is_on_the_wire(lab):
    for node in NODES:
        _nft(lab, node, ["iifname eth0 ip saddr 10.244.0.0/16 counter", "iifname eth0 udp dport 6784 counter", "iifname eth0 udp dport 6783 counter"])
    with Pings(lab, 200):
        pass
    for node in NODES:
        (plain, _), (packets, size), (_, sleeve) = _counters(lab, node)
        print(f"{node}: {plain} packets of pods to be read, {packets} of WireGuard ({size} bytes), {sleeve} bytes of the sleeve's heartbeats")
        check(plain == 0, "pods' packets are on the wire")
        check(packets >= 200 and size >= 200 * 1440, "they did not go through WireGuard")
        check(sleeve < size / 2, "they went through the sleeve")


def a_blocked_port_is_the_sleeves_turn(lab):
    for node in NODES:
        _nft(lab, node, ["udp dport 6784 drop"])
    try:
        for node in NODES:
            print(_line(lab, node, " established encrypted sleeve "), flush=True)
        check("WireGuard port" in _line(lab, "node1", " encrypted sleeve "), _net(lab, "status", "connections"))
        with Pings(lab, 20):
            pass
    finally:
        for node in NODES:
            lab.shell(node, "nft", "delete", "table", "ip", "t")
    with Pings(lab, 100):  # the way back costs nothing either
        for node in NODES:
            _line(lab, node, " established encrypted wireguard ")


def a_killed_overlay_loses_nothing(lab):
    before = _wireguard(lab, "node2")["publicKey"]
    with Pings(lab, 300):
        pids = lab.pids("node2", "/opt/lab/bin/lab overlay")
        check(pids, "there is no overlay on node2")
        lab.shell("node2", "kill", "-9", *pids)
        wait_for("another overlay", lambda: (lambda now: now and now != pids)(lab.pids("node2", "/opt/lab/bin/lab overlay")))
        for node in NODES:
            _line(lab, node, " established encrypted wireguard ")
    check(_wireguard(lab, "node2")["publicKey"] == before, "it has another key than before")


def a_new_key_loses_nothing(lab):
    before = _wireguard(lab, "node2")["publicKey"]
    with Pings(lab, 400):
        print(_net(lab, "rekey", "--node", "node2").strip(), flush=True)
        wait_for("another key", lambda: _wireguard(lab, "node2").get("publicKey", before) != before)
        for node in NODES:
            _line(lab, node, " established encrypted wireguard ")


def a_deleted_device_is_there_again(lab):
    """A device that is deleted under traffic is there again; meanwhile nothing goes out unencrypted."""
    _nft(lab, "node2", ["iifname eth0 ip saddr 10.244.0.0/16 counter"])
    lab.shell("node1", "ip", "link", "del", "lab-wg")
    _line(lab, "node1", " established encrypted wireguard ")
    with Pings(lab, 20):
        pass
    check(_counters(lab, "node2")[0][0] == 0, "pods' packets were on the wire")
    lab.shell("node2", "nft", "delete", "table", "ip", "t")


STEPS = [a_lab_that_encrypts, wireguard_is_used, pods_talk_with_packets_of_full_size, nothing_else_is_on_the_wire,
         a_blocked_port_is_the_sleeves_turn, a_killed_overlay_loses_nothing, a_new_key_loses_nothing, a_deleted_device_is_there_again]
