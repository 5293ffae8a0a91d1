"""Empty machines that take SSH: nodes of a lab that was started with --no-init, each with an sshd, host keys, root and /etc
of its own. The first is the master; the others are joined by the test.

The lab's own `--no-init` makes them: a test host then differs from a real one only in what namespaces differ in, and there is
no second way of making nodes to keep alive.
"""
import os
import re
import signal
import subprocess
import time

from labtest import LAB, Failed, Lab, check, run, wait_for

SETUP = r"""
set -e
umask 022
mkdir -p /etc/ssh /run/sshd /root/.ssh /home/student/.ssh
cd /etc/ssh
grep -q ^sshd: /etc/passwd || echo 'sshd:x:101:65534::/run/sshd:/usr/sbin/nologin' >>/etc/passwd
grep -q ^student: /etc/passwd || {
  echo 'student:x:1000:1000::/home/student:/bin/sh' >>/etc/passwd
  echo 'student:x:1000:' >>/etc/group
}
printf 'root:%s:19000:0:99999:7:::\nstudent:%s:19000:0:99999:7:::\n' "$2" "$2" >/etc/shadow
printf '%s\n' "$1" | tee /root/.ssh/authorized_keys >/home/student/.ssh/authorized_keys
chown -R 1000:1000 /home/student
[ -e ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key
# /usr is the machine's own and read-only: what a test wants found first on the PATH lies in /home/first (sshd's shells read
# .bashrc, which may also talk).
cat >sshd_config <<'END'
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
PermitRootLogin yes
PasswordAuthentication yes
MaxStartups 100
MaxSessions 100
PidFile /run/sshd.pid
END
mkdir -p /home/first
grep -q /home/first /root/.bashrc || echo 'PATH=/home/first:$PATH; echo some greeting' >>/root/.bashrc
/usr/sbin/sshd -f /etc/ssh/sshd_config -E /var/log/sshd.log
"""
PASSWORD = "horse battery"


class SshLab(Lab):
    """hosts: how many machines beside the master."""

    def __init__(self, hosts):
        super().__init__(hosts + 1)
        self.hosts = [f"node{i + 2}" for i in range(hosts)]
        self.addresses = {}

    def start_hosts(self):
        self.cmd("start", "--nodes", self.count, "--no-init", "--no-kubeconfig")
        self.addresses = {row[0]: row[1] for row in self.nodes()}
        self.shell("node1", "sh", "-c", "mkdir -p -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/lab; "
                                        "ssh-keygen -q -t ed25519 -N '' -f /root/wrong; "
                                        f"echo '{PASSWORD}' >/root/password; echo nonsense >/root/wrong-password")
        self.credentials = [self.shell("node1", "cat", "/root/.ssh/lab.pub").strip(), run("openssl", "passwd", "-6", PASSWORD).strip()]
        children = [self.set_up(host) for host in self.hosts]
        for host, child in zip(self.hosts, children):
            out, _ = child.communicate(timeout=120)
            check(child.returncode == 0, f"sshd on {host}: {out}")

    def set_up(self, host):
        return subprocess.Popen([LAB, "shell", "-p", self.profile, host, "--", "sh", "-c", SETUP, "setup", *self.credentials],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def ensure_sshd(self, host):
        """A node that was stopped and started has none."""
        if not self.pids(host, "sshd: /usr/sbin/sshd"):
            out, _ = self.set_up(host).communicate(timeout=120)
            check(self.pids(host, "sshd: /usr/sbin/sshd"), f"sshd on {host}: {out}")

    def start_sshd(self, host):
        """Anew, when the one that was told to end has ended."""
        self.shell(host, "sh", "-c", "while kill -0 $(cat /run/sshd.pid 2>/dev/null) 2>/dev/null; do sleep 0.05; done; "
                                     "/usr/sbin/sshd -f /etc/ssh/sshd_config -E /var/log/sshd.log")

    def init(self):
        self.shell("node1", "lab", "init", "--apiserver-advertise-address", self.addresses["node1"], "--node-name", "node1",
                   "--node-monitor-grace-period", "8s")

    def file(self, node, path):
        """A file of a node, from outside."""
        return f"/var/lib/lab/profiles/{self.profile}/nodes/{node}{path}"

    def target(self, host, user="root", port=None):
        return f"{user}@{self.addresses.get(host, host)}" + (f":{port}" if port else "")

    def join_command(self, targets, *flags):
        inside = ["lab", "join", *[w for t in targets for w in ("--ssh", t)], "--identity", "/root/.ssh/lab", *flags]
        return [LAB, "shell", "-p", self.profile, "node1", "--", *inside]

    def ssh_join(self, targets, *flags, timeout=300):
        """What `lab join --ssh` on the master ends with: exit code and all that it said."""
        done = subprocess.run([str(w) for w in self.join_command(targets, *flags)], capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout + done.stderr

    def expect(self, code, texts, targets, *flags):
        got, said = self.ssh_join(targets, *flags)
        check(got == code, f"exit code {got}, not {code}:\n{said}")
        for text in texts:
            check(re.search(text, said), f"nothing like {text!r} in:\n{said}")
        return said

    def kill_ssh_sessions(self, host):
        """Ends the sshd children that serve connections; the one that listens stays."""
        pids = self.pids(host, "sshd: ")
        try:
            with open(self.proc_path(host, "/run/sshd.pid")) as f:
                listener = f.read().strip()
        except FileNotFoundError:  # it has ended
            listener = ""
        gone = [p for p in pids if p != listener]
        if gone:
            self.shell(host, "kill", "-9", *gone, check=False)
        return gone

    def proc_path(self, node, path):
        """/run and /tmp of a node are mounts of its own, reached through its first process."""
        with open(f"/var/lib/lab/profiles/{self.profile}/nodes/{node}/pid") as f:
            return f"/proc/{f.read().split()[0]}/root{path}"

    def background_join(self, targets, *flags):
        return subprocess.Popen([str(w) for w in self.join_command(targets, *flags)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def kill_client(self, child):
        """The command on the master, with SIGKILL: `lab shell` waits for it in the node."""
        for pid in self.pids("node1", "lab join"):
            self.shell("node1", "kill", "-9", pid, check=False)
        try:
            return child.communicate(timeout=60)[0]
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            raise Failed("the killed command did not end")

    def wait_nodes_ready(self, names):
        wait_for(f"{names} Ready", lambda: set(names) <= set(self.ready_nodes()))
