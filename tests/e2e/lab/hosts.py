#!/usr/bin/python3
"""Hosts as classrooms have them: init, join and reset killed at every step, clocks that are wrong, firewalls, machines copied
or made anew, certificates that have ended, a master set up again or moved to another address. Nothing has a default route."""
import glob
import json
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, needed, wait_for  # noqa: E402

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
FAKETIME = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") or ["absent"])[0]
COMPLAINTS = os.path.join(os.path.dirname(__file__), "../../../docs/user-complaints.md")
DOCUMENT = os.path.join(os.path.dirname(__file__), "../../../docs/kubeadm.md")

# Runs a command over and over, and kills it each time at the first line of progress that it had not come to before, a
# few milliseconds into that step; until a run comes to its end.
KILL_AT_EACH_STEP = r"""
import re, subprocess, sys, time
seen, kills = set(), 0
for attempt in range(100):
    run = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said, fresh = "", False
    for line in run.stdout:
        said += line
        step = re.match(r"\[[a-z-]+\] (?!Using (the )?existing)", line)
        if step and line not in seen:
            seen.add(line)
            fresh = True
            time.sleep((0, 0.004, 0.015, 0.06)[attempt % 4])
            run.kill()
            break
    rest, _ = run.communicate()
    if not fresh:
        print(said + rest)
        print(f"killed {kills} times, ended with {run.returncode}")
        sys.exit(run.returncode)
    kills += 1
sys.exit("it never came to its end:\n" + said)
"""

# What reset must leave as it was before. Logs, caches and the runtime's own files move by themselves.
STATE = r"""
find /etc /var /opt /run /usr/local /root -xdev \( -path /run/containerd -o -path /var/lib/containerd -o -path /var/log \
  -o -path /root/.cache -o -path /root/.kube -o -path /run/lab -o -path /run/xtables.lock \) -prune -o \( -type f -o -type l -o -type d \) -printf '%p %y %l\n' | sort
ip -br link | awk '{print "link " $1}'; ip route show table all | grep -v ' table local ' | sed 's/^/route /'; ip rule | sed 's/^/rule /'
nft list ruleset | sed 's/^/nft /'
awk '{print "mount " $2}' /proc/self/mounts | grep -v /run/containerd/ | sort
for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done | grep -E '^[^ ]*/lab (server|agent|overlay)' | sed 's/^/process /' | sort
sysctl -a 2>/dev/null | grep -E '^net.ipv4.(ip_forward|conf.(all|default|eth0)\.)|^net.bridge' | sort
"""


def _sh(lab, node, text, **kw):
    return lab.shell(node, "bash", "-lc", text, **kw)


def _refused(lab, node, command, *patterns, code=None):
    done = _sh(lab, node, command, check=False)
    said = done.stdout + done.stderr
    check(done.returncode == code if code else done.returncode != 0, f"'{command}' ends with {done.returncode}:\n{said}")
    for pattern in patterns:
        check(re.search(pattern, said), f"'{command}' says nothing like '{pattern}':\n{said}")
    return said


def _at(shift):
    """Before a command: its clock goes wrong by so many seconds."""
    return f"LD_PRELOAD={FAKETIME} FAKETIME={shift:+d}s FAKETIME_DONT_FAKE_MONOTONIC=1 "


def _join(lab, *flags):
    return " ".join([lab.join_command, *flags])


def _new_command(lab):
    lab.join_command = _sh(lab, "node1", "kubeadm token create --print-join-command").strip()


def _ready(lab, name):
    wait_for(f"{name} Ready", lambda: " Ready " in _sh(lab, "node1", f"{KUBECTL} get node {name} --no-headers"), pause=0.1)


def _runs_pods(lab, name, pod):
    """That a node is Ready may be old news; that it starts a pod is not."""
    _sh(lab, "node1", f"""{KUBECTL} run {pod} --image=busybox --restart=Never --overrides='{{"spec":{{"nodeName":"{name}"}}}}' -- sleep 1000""")
    wait_for(f"a pod on {name}", lambda: "Running" in _sh(lab, "node1", f"{KUBECTL} get pod {pod} --no-headers"), pause=0.1)


def _reset(lab, node):
    _sh(lab, node, "kubeadm reset --force")


def _state(lab, node):
    return set(_sh(lab, node, STATE).splitlines())


# What makes a lab's nodes makes these for init and join, and reset takes them for theirs.
MADE_BEFORE = ("/etc/kubernetes", "/opt/cni", "/var/lib/kubelet", "/var/lib/lab")


def _same_state(before, after, what):
    problems = [f"new: {line}" for line in sorted(after - before)]
    problems += [f"gone: {line}" for line in sorted(before - after) if not line.startswith(MADE_BEFORE)]
    check(not problems, f"{what}:\n  " + "\n  ".join(problems[:15]))


def every_complaint_has_its_test(_lab):
    """docs/user-complaints.md names tests; each of them is there."""
    tests = os.path.join(os.path.dirname(__file__), "../..")
    sources = "".join(open(os.path.join(d, n), encoding="utf-8").read() for d, _, names in os.walk(tests) for n in names if n.endswith("_test.cpp"))
    named = 0
    for row in open(COMPLAINTS, encoding="utf-8").read().splitlines():
        cell = row.rstrip(" |").split(" | ")[-1] if row.startswith("| ") else ""
        for script, step, family, case in _named(cell):
            if script:
                path = os.path.join(os.path.dirname(__file__), f"{script}.py")
                check(os.path.exists(path), f"there is no lab_{script}")
                check(not step or f"\ndef {step}(" in open(path).read(), f"lab_{script} has no step {step}")
            else:
                name = r"\w+" if case == "*" else case
                check(re.search(rf"TEST\w*\({family}, {name}\)", sources), f"there is no test {family}.{case}")
            named += 1
    check(named > 40, f"only {named} tests are named")


def _named(cell):
    """(script, step, "", "") or ("", "", suite, case); a name that begins with a dot belongs to what stands before it."""
    out, last = [], None
    for script, step, dotted, family, case in re.findall(r"`lab_(\w+)`(?:\.(\w+))?|(?<=[ ,])\.(\w+)|\b([A-Z]\w+)\.(\w+|\*)", cell):
        if dotted and last:
            out.append((last[0], dotted, "", "") if last[0] else ("", "", last[1], dotted))
        elif script:
            last = (script, "")
            out.append((script, step, "", ""))
        elif family:
            last = ("", family)
            out.append(("", "", family, case))
    return out


@needed
def empty_hosts_without_a_default_route(lab):
    check(os.path.exists(FAKETIME), "libfaketime is not installed: tools/install-deps test")
    lab.start("--no-init")
    lab.addresses = {row[0]: row[1] for row in lab.nodes()}
    lab.states = {}
    for name in lab.addresses:
        _sh(lab, name, "ip route del default 2>/dev/null; sysctl -qw net.ipv4.ip_forward=1; ! ip route | grep default")
        lab.states[name] = _state(lab, name)


@needed
def init_is_killed_at_every_step(lab):
    out = lab.shell("node1", "python3", "-c", KILL_AT_EACH_STEP, "kubeadm", "init", "--node-name", "node1")
    kills = int(re.search(r"killed (\d+) times", out).group(1))
    print(f"      killed {kills} times")
    check(kills > 20, f"only {kills} steps were told:\n{out}")
    check("first address of interface eth0, as there is no default route" in out, f"the reason of the address is not told:\n{out}")
    lab.init_output = out
    _ready(lab, "node1")
    _new_command(lab)


@needed
def join_is_killed_at_every_step(lab):
    out = lab.shell("node2", "python3", "-c", KILL_AT_EACH_STEP, *lab.join_command.split())
    kills = int(re.search(r"killed (\d+) times", out).group(1))
    check(kills >= 5 and "This node has joined the cluster" in out, f"killed {kills} times:\n{out}")
    lab.join_output = out
    _ready(lab, "node2")
    _runs_pods(lab, "node2", "first")


def outputs_are_those_of_the_document(lab):
    """docs/kubeadm.md, row by row: what it says that lab prints is what was printed."""
    text = open(DOCUMENT, encoding="utf-8").read()
    outputs = {"init": lab.init_output, "join": lab.join_output,
               "token list": _sh(lab, "node1", "kubeadm token list"),
               "certs check-expiration": _sh(lab, "node1", "kubeadm certs check-expiration")}
    seen = 0
    for title, out in outputs.items():
        section = re.search(rf"^## {title}\n(.*?)(?=^## )", text, re.M | re.S).group(1)
        for row in re.findall(r"^\| (?!---)(.+) \|$", section, re.M)[1:]:
            cells = [c.strip() for c in row.split(" | ")] if title in ("init", "join") else None
            if cells is None:  # tables of fields: the first word is what stands in the output's head
                name = row.split(" | ")[0].strip()
                if name.isupper():
                    seen += 1
                    check(name in out, f"'{name}' is not in lab {title}:\n{out}")
                continue
            theirs, ours, remark = (cells + ["", ""])[:3]
            if not ours.strip("| ") or "only" in remark or "existing" in ours or "in `--dry-run`" in ours:
                continue
            for words in re.findall(r"`([^`]+)`", theirs if ours.startswith("the same") else ours):
                if not words.startswith(("[", "This", "Your", "* ", "Run", "export", "kubeadm", "--disc")):
                    continue
                pattern = re.escape(words)
                pattern = re.sub(r"\b(A|T|H|X)\b", r"\\S+", pattern).replace(r"\.\.\.", ".*").replace(r"v1\.32\.x", ".*")
                seen += 1
                check(re.search(pattern, out), f"lab {title} does not say '{words}':\n{out}")
    check(seen > 30, f"only {seen} texts of the document were looked at")
    token = json.loads(_sh(lab, "node1", "kubeadm token list -o json | head -n 40 | python3 -c "
                                         "'import json,sys; print(json.dumps(json.JSONDecoder().raw_decode(sys.stdin.read())[0]))'"))
    check(token["kind"] == "BootstrapToken" and set(token) >= {"token", "usages", "groups", "expires"}, token)


def a_wrong_clock_is_named_in_seconds(lab):
    for shift, word in ((7200, "ahead of"), (-7200, "behind")):
        said = _refused(lab, "node3", _at(shift) + _join(lab), rf"this machine's clock is 7[12]\d\d s {word} the master's", "set the clock")
        check("phase discovery" in said, said)
    _same_state(lab.states["node3"], _state(lab, "node3"), "something was written")
    # Four minutes are no matter: certificates are dated back.
    _sh(lab, "node3", _at(-240) + _join(lab, "--skip-phases", "images,kubelet-start,tls-bootstrap"))


def firewalls_and_absent_masters_are_told_apart(lab):
    network = lab.addresses["node1"].rsplit(".", 1)[0]
    token, pin = re.search(r"--token (\S+)", lab.join_command).group(1), re.search(r"sha256:\S+", lab.join_command).group(0)
    words = f"--token {token} --discovery-token-ca-cert-hash {pin}"
    _sh(lab, "node3", "nft add table inet wall; nft add chain inet wall out '{ type filter hook output priority 0; }'; "
                      f"nft add rule inet wall out ip daddr {network}.252 tcp dport 6443 drop; ip neigh add {network}.252 lladdr 02:00:00:00:00:01 dev eth0")
    # Ten seconds of silence: the others are seen meanwhile.
    dropped = subprocess.Popen([LAB, "shell", "-p", lab.profile, "node3", "--", "bash", "-lc", f"kubeadm join {network}.252:6443 {words}"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        _refused(lab, "node3", f"kubeadm join {lab.addresses['node2']}:6443 {words}", "no API server listens there", "systemctl status lab-server")
        _refused(lab, "node3", f"kubeadm join {network}.253:6443 {words}", r"what to do: (no way leads there|a firewall drops)")
        _refused(lab, "node3", f"kubeadm join no-such-master:6443 {words}", "no-such-master")
    finally:
        said, _ = dropped.communicate(timeout=120)
    check(dropped.returncode == 1 and "a firewall drops TCP port 6443" in said and "ufw allow 6443/tcp" in said, said)
    _sh(lab, "node3", f"nft delete table inet wall; ip neigh del {network}.252 dev eth0")


def names_and_copies_of_machines(lab):
    """A name that a living node has; a machine that is the copy of another; one that was made anew."""
    _refused(lab, "node3", _join(lab, "--node-name", "node2"), r'a Node with name "node2" and status "Ready" already exists', "--node-name")
    own = _sh(lab, "node3", "cat /etc/machine-id")
    other = _sh(lab, "node2", "cat /etc/machine-id").strip()
    # The first interface is a VM's NAT, as Vagrant makes it: the default route leads there, the cluster does not.
    _sh(lab, "node3", f"echo {other} >/etc/machine-id; ip link add nat0 type veth peer name nat1; ip addr add 10.0.2.15/24 dev nat0; ip link set nat0 up; ip link set nat1 up; "
                      "ip route add default via 10.0.2.2 dev nat0")
    out = lab.shell("node3", "bash", "-lc", _join(lab) + " 2>&1")
    check(re.search(rf'node "node2" has the same /etc/machine-id \({other}\).*systemd-machine-id-setup', out), out)
    _ready(lab, "node3")
    address = _sh(lab, "node1", f"{KUBECTL} get node node3 -o jsonpath='{{.status.addresses[?(@.type==\"InternalIP\")].address}}'").strip()
    check(address == lab.addresses["node3"], f"node3 is known by {address}, the NAT's address")
    out = lab.shell("node3", "bash", "-lc", "kubeadm init --dry-run --ignore-preflight-errors all 2>&1")
    check(re.search(r"Using 10\.0\.2\.15 .*source address of the default route; this machine also has "
                    rf"{re.escape(lab.addresses['node3'])} \(eth0\): --apiserver-advertise-address chooses", out), out)
    _sh(lab, "node3", "ip link del nat0")
    # Made anew under its name: everything of it is gone, and so is its machine-id. Its Node is Ready still.
    _reset(lab, "node3")
    _sh(lab, "node3", f"echo {own} >/etc/machine-id")
    _refused(lab, "node3", _join(lab), r'a Node with name "node3" and status "Ready" already exists', "kubectl delete node node3")
    _sh(lab, "node1", f"{KUBECTL} delete node node3")
    _sh(lab, "node3", _join(lab))
    _ready(lab, "node3")


def reset_leaves_the_machine_as_it_was(lab):
    """Of a worker with pods, killed at every step and run again; of an init that was killed in the middle."""
    out = lab.shell("node2", "python3", "-c", KILL_AT_EACH_STEP, "kubeadm", "reset", "--force")
    check(int(re.search(r"killed (\d+) times", out).group(1)) >= 6, out)
    _same_state(lab.states["node2"], _state(lab, "node2"), "after reset of a worker")
    for step in ("kubelet-start", "addon"):
        _reset(lab, "node3")
        lab.shell("node3", "bash", "-c", f"set -m; (kubeadm init --node-name node3 & echo $! >/root/pid; wait) | "
                                         f"while read -r line; do case $line in '[{step}]'*) kill -9 $(cat /root/pid);; esac; done; rm /root/pid", check=False)
        _reset(lab, "node3")
        _same_state(lab.states["node3"], _state(lab, "node3"), f"after reset of an init killed at {step}")
    _sh(lab, "node2", _join(lab))
    _ready(lab, "node2")


def no_space_is_named_before_and_in_the_middle(lab):
    _reset(lab, "node3")
    for place in ("/var/lib/lab", "/var/lib/containerd"):
        _sh(lab, "node3", f"mkdir -p {place}; mount -t tmpfs -o size=8m tmpfs {place}")
        said = _refused(lab, "node3", _join(lab), rf"DiskSpace\]: {place} needs \d+ MiB and its file system has \d MiB free", "du -xh", code=3)
        check("kubelet-start" not in said, said)
        _sh(lab, "node3", f"umount {place}")
    _sh(lab, "node3", "mkdir -p /etc/kubernetes; mount -t tmpfs -o size=4k,nr_inodes=20 tmpfs /etc/kubernetes")
    _refused(lab, "node3", "kubeadm init phase certs all --node-name node3", "No space left on device", "what to do: free some space on that file system")
    _sh(lab, "node3", "umount /etc/kubernetes; kubeadm init phase certs all --node-name node3; ls /etc/kubernetes/pki/front-proxy-client.key; "
                      "kubeadm reset --force")


def _expired_pair(lab, name):
    _sh(lab, "node1", f"rm /etc/kubernetes/pki/{name}.*; {_at(-4100 * 86400)} kubeadm init phase certs {name} --node-name node1")


def certificates_that_have_ended(lab):
    """The master's, ten years ago; then a worker's that was switched off for too long."""
    for name in ("apiserver", "apiserver-kubelet-client"):
        _expired_pair(lab, name)
    _sh(lab, "node1", f"rm /etc/kubernetes/*.conf; {_at(-4100 * 86400)} kubeadm init phase kubeconfig all --node-name node1")
    # One that starts anew, or has run for an hour, would renew them itself; this one only reads its own again.
    lab.shell("node1", "kill", "-HUP", *lab.pids("node1", "/opt/lab/bin/lab server"))
    wait_for("the server with its old certificate", lambda: "expired" in _sh(lab, "node1", f"{KUBECTL} get nodes 2>&1", check=False).stdout)
    out = _sh(lab, "node1", "kubeadm certs check-expiration")
    check(re.search(r"^apiserver +\w{3} \d\d, \d{4} \d\d:\d\d UTC +<invalid>", out, re.M), out)
    _refused(lab, "node3", _join(lab), r"the certificate of \S+ expired on", "on the master: lab certs renew all")
    _sh(lab, "node1", "kubeadm certs renew all")
    _ready(lab, "node2")
    _runs_pods(lab, "node2", "second")

    _sh(lab, "node1", "cd /root; umask 077; export OPENSSL_CONF=/root/old.cnf; printf '[req]\ndistinguished_name=dn\n[dn]\n' >old.cnf; openssl ecparam -genkey -name prime256v1 -noout -out old.key; "
                      "openssl req -new -key old.key -subj /O=system:nodes/CN=system:node:node2 -out old.csr; "
                      f"{_at(-30 * 86400)} openssl x509 -req -in old.csr -CA /etc/kubernetes/pki/ca.crt -CAkey /etc/kubernetes/pki/ca.key -days 1 -out old.crt 2>/dev/null; "
                      "cat old.crt old.key >old.pem")
    lab.shell("node2", "sh", "-c", "cat >/var/lib/kubelet/pki/kubelet-client-current.pem", stdin=_sh(lab, "node1", "cat /root/old.pem; rm /root/old.*"))
    lab.shell("node2", "kill", *lab.pids("node2", "/opt/lab/bin/lab agent"))
    wait_for("its agent to miss credentials", lambda: "waiting for credentials" in lab.shell("node2", "tail", "-n", "3", "/var/log/lab/lab-agent.log"))
    _sh(lab, "node2", _join(lab))
    _runs_pods(lab, "node2", "third")


def a_master_that_was_set_up_again(lab):
    """The old command names both CAs; the new one takes the worker over as it stands, without a reset."""
    old = lab.join_command
    _reset(lab, "node1")
    _same_state(lab.states["node1"], _state(lab, "node1"), "after reset of the master")
    _sh(lab, "node1", "kubeadm init --node-name node1")
    _new_command(lab)
    expected, met = (re.search(r"sha256:\S+", command).group(0) for command in (old, lab.join_command))
    check(expected != met, "the new master has the old CA")
    for node in ("node2", "node3"):
        _refused(lab, node, old, f"the cluster's CA is not the expected one: expected {expected}, met {met}", "may have been set up anew",
                 "lab token create --print-join-command")
    _sh(lab, "node2", _join(lab))
    _ready(lab, "node2")
    _runs_pods(lab, "node2", "fourth")


def a_master_at_another_address(lab):
    """Its address changes: one command on it, and nothing on the workers."""
    old = lab.addresses["node1"]
    new = old.rsplit(".", 1)[0] + ".231"
    prefix = _sh(lab, "node1", f"ip -br -4 addr show eth0 | grep -o '{old}/[0-9]*'").strip().split("/")[1]
    _sh(lab, "node1", f"ip addr add {new}/{prefix} dev eth0; ip addr del {old}/{prefix} dev eth0; ip addr show dev eth0 | grep -q {new} || ip addr add {new}/{prefix} dev eth0")
    begun = time.monotonic()
    out = _sh(lab, "node1", f"kubeadm certs renew all --new-address {new}")
    check(f"Node node2 ({lab.addresses['node2']}) goes on at {new}" in out, out)
    _runs_pods(lab, "node2", "fifth")
    print(f"      a pod runs on the worker {time.monotonic() - begun:.1f} s after the command began")
    check(new in _sh(lab, "node2", "cat /etc/kubernetes/kubelet.conf"), "kubelet.conf")
    _new_command(lab)
    check(f"{new}:6443" in lab.join_command, lab.join_command)
    # The pin may come from the CA's own file, as the Vagrantfile has it.
    lab.shell("node3", "sh", "-c", "cat >/root/ca.crt", stdin=_sh(lab, "node1", "cat /etc/kubernetes/pki/ca.crt"))
    _refused(lab, "node3", re.sub(r"sha256:\S+", "file:/root/absent.crt", lab.join_command), "/root/absent.crt: No such file")
    _sh(lab, "node3", re.sub(r"sha256:\S+", "file:/root/ca.crt", lab.join_command))
    _ready(lab, "node3")


if __name__ == "__main__":
    main([every_complaint_has_its_test, empty_hosts_without_a_default_route, init_is_killed_at_every_step, join_is_killed_at_every_step,
          outputs_are_those_of_the_document, a_wrong_clock_is_named_in_seconds, firewalls_and_absent_masters_are_told_apart,
          names_and_copies_of_machines, reset_leaves_the_machine_as_it_was, no_space_is_named_before_and_in_the_middle,
          certificates_that_have_ended, a_master_that_was_set_up_again, a_master_at_another_address], Lab(3))
