#!/usr/bin/python3
"""lab join --ssh: real sshd on empty machines, many at once; and what goes wrong on the way.

ssh_join.py --hosts 30    only the figures: one more host by token, then so many at once over SSH; the time of each and in all
"""
import argparse
import os
import pty
import re
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import PATIENCE, check, main, needed, wait_for  # noqa: E402
from sshhosts import PASSWORD, SshLab  # noqa: E402

NEW = "--accept-new-host-keys"


@needed
def empty_hosts_and_a_master(lab):
    lab.start_hosts()
    lab.init()


def token_join_on_the_second(lab):
    command = lab.shell("node1", "lab", "token", "create", "--print-join-command").split()
    lab.shell("node2", "lab", "join", *command[2:])
    lab.wait_nodes_ready(["node2"])


def each_fault_in_its_words(lab):
    """Five hosts, five faults, one command; then those that concern the connection alone. Nothing joins."""
    lab.shell("node3", "nft", "add table inet wall; add chain inet wall out { type filter hook output priority 0; }; "
                              "add rule inet wall out tcp dport 6443 drop")
    lab.shell("node4", "sh", "-c", "mkdir -p /opt/lab/releases && mount -t tmpfs -o size=8m tmpfs /opt/lab/releases")
    lab.shell("node5", "sh", "-c", "printf '#!/bin/sh\\n[ \"$1\" = -m ] && echo sparc64 || exec /bin/uname \"$@\"\\n' >/home/first/uname; "
                                   "chmod 755 /home/first/uname")
    lab.shell("node6", "sh", "-c", "mkdir -p /root/hide && touch /root/hide/x && mount --bind /root/hide/x /usr/bin/containerd")
    lab.shell("node7", "sh", "-c", "mkdir -p /etc/pam.d; for f in sudo other; do "
                                   "printf 'auth required pam_deny.so\\naccount required pam_permit.so\\nsession required pam_permit.so\\n' >/etc/pam.d/$f; done; "
                                   "printf 'root ALL=(ALL) ALL\\n' >/etc/sudoers; chmod 440 /etc/sudoers")
    hosts = [lab.target(h) for h in lab.hosts[1:5]] + [lab.target("node7", "student")]
    said = lab.expect(1, [
        r"check: the API server \S+:6443 does not answer from there: a firewall drops TCP port 6443", r"ufw allow 6443",
        r"check: no space: /opt/lab/releases needs \d+ MiB and has \d MiB free", r"check: architecture mismatch: it is sparc64",
        r"node6 +failed .*check: it lacks containerd", r"--install-missing, or run there: apt-get install",
        r"user student is not root and may not use sudo without a password \(sudo: ", r"NOPASSWD", r"0 of 5 hosts joined"], hosts, NEW)
    check(said.count("what to do: ") == 5, f"not every failure says what to do:\n{said}")

    one = lab.target("node7")
    lab.expect(1, [r"connect: it does not let root in; tried: the key /root/wrong; it takes: publickey, password", "ssh-copy-id"], [one], "--identity", "/root/wrong")
    lab.expect(1, [r"tried: the key /root/wrong, the password"], [one], "--identity", "/root/wrong", "--password-file", "/root/wrong-password")
    free = lab.addresses["node7"].rsplit(".", 1)[0] + ".249"
    lab.expect(1, [r"connect: no SSH server answers on port 2222 \(connection refused\)", rf"{free} +- +failed .*connect: it cannot be reached"],
               [lab.target("node7", port=2222), f"root@{free}"], "--connect-timeout", "3s")
    lab.expect(2, [r"\"6443x\" is no port"], ["root@10.0.0.1:6443x"])
    lab.expect(2, [r"--config does not go with --ssh"], [one], "--config", "/root/x")
    lab.expect(0, [r"root@\S+: would connect, check the host, copy"], [one], "--dry-run")
    lab.expect(1, [r"its host key is not known yet \(ssh-ed25519 SHA256:", NEW], [one], "--known-hosts", "/root/.ssh/none")
    check(lab.ready_nodes() == ["node1", "node2"], f"something joined: {lab.ready_nodes()}")


def all_at_once(lab):
    """The faults mended, four hosts in one command; one through sudo, one with a password, one lacks containerd."""
    lab.shell("node3", "nft", "delete table inet wall")
    lab.shell("node4", "umount", "/opt/lab/releases")
    lab.shell("node5", "rm", "/home/first/uname")
    lab.shell("node5", "sh", "-c", "printf 'student ALL=(ALL) NOPASSWD: ALL\\n' >/etc/sudoers; chmod 440 /etc/sudoers; mkdir -p /etc/pam.d; "
                                   "for f in sudo other; do printf 'auth required pam_deny.so\\naccount required pam_permit.so\\nsession required pam_permit.so\\n' >/etc/pam.d/$f; done")
    # /usr is read-only there: this package manager brings containerd back by uncovering it.
    lab.shell("node6", "sh", "-c", "printf '#!/bin/sh\\necho \"$@\" >>/root/apt.log\\ncase \" $* \" in *\" install \"*) exec umount /usr/bin/containerd;; esac\\n' "
                                   ">/home/first/apt-get; chmod 755 /home/first/apt-get")
    hosts = [lab.target("node3"), lab.target("node4"), lab.target("node5", "student"), lab.target("node6")]
    said = lab.expect(0, [r"4 of 4 hosts joined", r"\S+ +\[kubelet-start\] ", r"\S+ +\[install\] apt-get install -y --no-install-recommends containerd"],
                      hosts, NEW, "--install-missing")
    print("\n".join("      " + line for line in said[said.index("\nHOST"):].strip().splitlines()))
    lab.wait_nodes_ready(["node3", "node4", "node5", "node6"])
    check("install -y --no-install-recommends containerd" in lab.shell("node6", "cat", "/root/apt.log"), "the package manager was not asked")
    for host, user in (("node3", "root"), ("node5", "student")):
        exe = lab.shell(host, "sh", "-c", "readlink /proc/$(pgrep -f 'lab agent' | head -n 1)/exe").strip()
        check(re.fullmatch(r"/opt/lab/releases/[0-9a-f]{16}/lab", exe), f"{host} ({user}): the agent is {exe}")
    # The C library is the host's, in all its parts.
    maps = lab.shell("node3", "sh", "-c", "cat /proc/$(pgrep -f 'lab agent' | head -n 1)/maps")
    foreign = {line.split()[-1] for line in maps.splitlines() if "/usr/lib" in line and not re.search(r"/(ld-linux|libc\.|libm\.|libpthread\.)", line)}
    check("/opt/lab/releases/" in maps and not foreign, f"the host's own libraries are used: {foreign}")
    check(lab.kubectl("get", "csr", "--no-headers").count("Approved,Issued") >= 5, "certificates")
    listed = lab.shell("node1", "lab", "token", "list")
    check("lab join --ssh" in listed, "tokens of failed runs live on until they expire")


def again_changes_nothing(lab):
    agents = {h: lab.pids(h, "/opt/lab/releases") for h in ("node3", "node4")}
    said = lab.expect(0, [r"2 of 2 hosts joined", "had the program already"], [lab.target("node3"), lab.target("node4")])
    check("[copy]" not in said, f"copied again:\n{said}")
    check(agents == {h: lab.pids(h, "/opt/lab/releases") for h in agents}, "daemons were restarted")


def cut_at_every_step(lab):
    """The connection breaks in the middle of the copy, and again whenever the next step is told: the same command completes."""
    child = lab.background_join([lab.target("node7")])
    releases = lab.file("node7", "/opt/lab/releases")
    wait_for("the copy to begin", lambda: any(n.endswith(".part") for n in os.listdir(releases)), pause=0.002)
    check(lab.kill_ssh_sessions("node7"), "no connection was there to cut")
    said, cut = "", set()
    for line in child.stdout:
        said += line
        step = re.search(r" \[([a-z-]+)\] ", line)
        if step and step.group(1) not in cut | {"connect", "copy", "ready"} and "connecting again" not in line:
            lab.kill_ssh_sessions("node7")  # nothing to cut is no harm: the step was over quickly
            cut.add(step.group(1))
    child.wait(timeout=200)
    again = re.search(r"connected again (\d+)x", said)
    check(child.returncode == 0 and again and int(again.group(1)) >= 2, f"cut at {cut}:\n{said}")
    check(not [n for n in os.listdir(releases) if n.endswith(".part")], f"half a copy is left: {os.listdir(releases)}")
    lab.wait_nodes_ready(["node7"])


def _wipe(lab, host):
    lab.shell(host, "/opt/lab/releases/current/lab", "reset", "--force")
    lab.shell(host, "sh", "-c", "rm -rf /opt/lab/releases /var/lib/lab/join /etc/kubernetes /var/lib/kubelet/pki")


def wiped_worker_and_killed_command(lab):
    """A worker is wiped and joins again under its name; the command on the master is killed at one step after the other."""
    _wipe(lab, "node7")
    for step in ("check", "copy", "launch", "discovery", "tls-bootstrap"):
        child = lab.background_join([lab.target("node7")])
        for line in child.stdout:
            if f" [{step}] " in line:
                break
        lab.kill_client(child)
    said = lab.expect(0, [r"1 of 1 hosts joined"], [lab.target("node7")])
    check("had the program already" in said, f"the copy of a killed command is not used:\n{said}")
    lab.wait_nodes_ready(["node7"])


def a_join_that_runs_is_followed(lab):
    """The join over there is held, and the command killed: the next one finds it, and starts no second."""
    _wipe(lab, "node7")
    lab.shell("node7", "sh", "-c", "(for i in $(seq 20000); do p=$(pgrep -f '[/]lab join ') && kill -STOP $p && break; sleep 0.002; done) >/dev/null 2>&1 &")
    first = lab.background_join([lab.target("node7")])
    job = lab.file("node7", "/var/lib/lab/join")
    held = wait_for("the held join", lambda: lab.shell("node7", "sh", "-c", "p=$(pgrep -f '[/]lab join ') && grep '^State:.T' /proc/$p/status >&2 && echo $p"))
    with open(f"{job}/pid") as f:
        pid = f.read()
    lab.kill_client(first)
    second = lab.background_join([lab.target("node7")])
    said = ""
    for line in second.stdout:
        said += line
        if " [launch] " in line:
            break
    check(not os.path.exists(f"{job}/exit"), "the held join has ended")
    time.sleep(1)
    lab.shell("node7", "kill", "-CONT", held.strip())
    said += second.communicate(timeout=200)[0]
    check(second.returncode == 0, said)
    with open(f"{job}/pid") as f:
        check(f.read() == pid, "a second join was started beside the first")
    lab.wait_nodes_ready(["node7"])


def a_host_that_stays_away(lab):
    """Its sshd goes while the program is being copied: the command gives up in time, and when the host is back it completes."""
    _wipe(lab, "node7")
    child = lab.background_join([lab.target("node7")], "--reconnect-timeout", "2s")
    for line in child.stdout:
        if " [copy] " in line:
            break
    lab.shell("node7", "sh", "-c", "kill $(cat /run/sshd.pid)")
    lab.kill_ssh_sessions("node7")
    said = child.communicate(timeout=200)[0]
    check(child.returncode == 1 and re.search(r"the connection broke .* it did not come back within 2 s", said) and "what is done is not repeated" in said, said)
    lab.start_sshd("node7")
    lab.expect(0, [r"1 of 1 hosts joined"], [lab.target("node7")])
    lab.wait_nodes_ready(["node7"])


def changed_host_key(lab):
    lab.shell("node7", "sh", "-c", "cd /etc/ssh && rm ssh_host_ed25519_key* && ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key && kill $(cat /run/sshd.pid)")
    lab.start_sshd("node7")
    said = lab.expect(1, [r"connect: the host key has changed: met ssh-ed25519 SHA256:", "another machine answers at this address"], [lab.target("node7")], NEW)
    fix = re.search(r"(ssh-keygen -f \S+ -R '[^']+')", said)
    check(fix, f"no command to forget the old key:\n{said}")
    lab.shell("node1", "sh", "-c", fix.group(1))
    lab.expect(0, [r"1 of 1 hosts joined"], [lab.target("node7")], NEW, "--password-file", "/root/password", "--identity", "/root/wrong")


def name_taken(lab):
    """Another machine with the name of a living node."""
    lab.shell("node8", "hostname", "node3")
    lab.expect(1, [r"check: the node name \"node3\" is taken: a node at \S+ has it, and is Ready", r"--node-name"], [lab.target("node8")], NEW)


def a_person_is_asked(lab):
    """On a terminal: for the host key, which is not known here, then for the password."""
    ours, theirs = pty.openpty()
    words = lab.join_command([lab.target("node8")], "--identity", "/root/wrong", "--node-name", "other", "--known-hosts", "/root/asked/known_hosts")
    child = subprocess.Popen([str(w) for w in words], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said, answers = "", [(r"is not known yet\. Its key is ssh-ed25519 SHA256:\S+\. Connect and remember it\? \[y/N\] $", "y"),
                         (r"Password of root@\S+: $", "mistyped"), (r"Password of root@\S+: $", PASSWORD)]
    deadline = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                got = os.read(ours, 4096).decode(errors="replace")
            except OSError:  # the other end is closed
                break
            if not got:
                break
            said += got
            if answers and re.search(answers[0][0], said):
                os.write(ours, (answers.pop(0)[1] + "\n").encode())
                said += "\n"
    finally:
        os.close(ours)  # which ends a command that still waits for an answer
        code = child.wait(timeout=60)
    check(code == 0 and not answers, f"exit code {code}, not asked: {answers}\n{said}")
    check(PASSWORD not in said, "the password was shown")
    check("ssh-ed25519 " in lab.shell("node1", "cat", "/root/asked/known_hosts"), "the key was not remembered")
    lab.wait_nodes_ready(["other"])


def figures(lab):
    """The same for as many hosts as asked for."""
    hosts = lab.hosts[1:]
    begun = time.monotonic()
    said = lab.expect(0, [rf"{len(hosts)} of {len(hosts)} hosts joined"], [lab.target(h) for h in hosts], NEW)
    took = time.monotonic() - begun
    rows = [line.split() for line in said.splitlines() if re.match(r"root@\S+ +node\d+ +joined", line)]
    seconds = sorted(float(r[3]) for r in rows)
    check(len(seconds) == len(hosts) and set(lab.hosts) <= set(lab.ready_nodes()), said)
    print(f"{len(seconds)} hosts Ready in {took:.1f} s; each: least {seconds[0]}, median {seconds[len(seconds) // 2]}, most {seconds[-1]} s")
    begun = time.monotonic()
    lab.expect(0, ["had the program already"], [lab.target(h) for h in hosts])
    print(f"the same command again: {time.monotonic() - begun:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int)
    asked = parser.parse_args().hosts
    if asked:
        main([empty_hosts_and_a_master, token_join_on_the_second, figures], SshLab(asked + 1))
    main([empty_hosts_and_a_master, token_join_on_the_second, each_fault_in_its_words, all_at_once, again_changes_nothing,
          cut_at_every_step, wiped_worker_and_killed_command, a_join_that_runs_is_followed,
          a_host_that_stays_away, changed_host_key, name_taken, a_person_is_asked], SshLab(7))
