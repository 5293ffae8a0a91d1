#!/usr/bin/python3
"""Root in a student's node against the machine, the classroom's programs and another student's lab: every attack fails,
and all others go on (docs/isolation.md says what separates whom, and names these steps)."""
import json
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Failed, Lab, LAB, check, lab_processes, main, needed, run, wait_for  # noqa: E402

MEMORY, PIDS, DISK = 1400 << 20, 900, 900 << 20
LIMITS = ["--lab-memory", "1400m", "--lab-cpus", "1", "--lab-pids", str(PIDS), "--lab-disk", "900m", "--userns", "--isolated"]
FIRST_USER = 0x70000000
POD = """
apiVersion: v1
kind: Pod
metadata: {name: mallory}
spec:
  hostPID: true
  hostNetwork: true
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: busybox
    imagePullPolicy: IfNotPresent
    securityContext: {privileged: true}
    command: [sleep, "1000"]
    volumeMounts: [{name: host, mountPath: /host}]
  volumes: [{name: host, hostPath: {path: /}}]
"""


class Named(Lab):
    def __init__(self, profile):
        super().__init__(1)
        self.profile = profile

    def begin(self, *flags):
        return self.start(*flags)

    def root(self, script, timeout=60):
        """What root in the node can do; its exit code and words."""
        return self.shell("node1", "sh", "-c", script, check=False, timeout=timeout)

    def whole(self):
        return json.loads(self.cmd("status", "-o", "json"))[0]["lab"]

    def answers(self):
        return "node1" in self.kubectl("get", "nodes", timeout=30)


class Labs:
    """The attacker's lab and another one. What labtest asks of a lab it gets for both."""

    def __init__(self):
        self.profile = f"e2e-{os.getpid()}"
        self.mallory, self.victim = Named(self.profile + "-m"), Named(self.profile + "-v")

    def both(self, what):
        errors = []

        def one(lab):
            try:
                what(lab)
            except (Failed, subprocess.TimeoutExpired) as e:
                errors.append(str(e))
        threads = [threading.Thread(target=one, args=(lab,)) for lab in (self.mallory, self.victim)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check(not errors, "\n".join(errors))

    def delete(self):
        self.both(lambda lab: lab.delete())
        for lab in (self.mallory, self.victim):
            wait_for("no processes of " + lab.profile, lambda: not lab_processes(lab.profile), 20)


def refused(lab, script, why=""):
    done = lab.root(script)
    check(done.returncode != 0, f"root in a node could: {script}\n{done.stdout}{done.stderr} {why}")
    return done.stderr


def text_of(path):
    with open(path) as f:
        return f.read()


def cgroups_of(lab):
    """The lab's own directories, by controller; "" is v2's."""
    out = {}
    for line in open("/proc/self/mounts"):
        _, where, kind, options = line.split()[:4]
        path = f"{where}/lab/{lab.profile}"
        if kind.startswith("cgroup") and os.path.isdir(path):
            for name in [""] if kind == "cgroup2" else options.split(","):
                out[name] = path
    return out


def value(lab, controller, v1, v2):
    groups = cgroups_of(lab)
    return text_of(f"{groups[controller]}/{v1}" if controller in groups else f"{groups['']}/{v2}").strip()


@needed
def both_start_and_say_what_they_may_take(labs):
    labs.both(lambda lab: lab.begin(*LIMITS))
    for lab in (labs.mallory, labs.victim):
        check(lab.answers(), "the API")
        whole = lab.whole()
        check(whole["limits"] == {"memoryBytes": MEMORY, "cpus": 1, "pids": PIDS, "diskBytes": DISK} and whole["userNamespace"], str(whole))
        check(value(lab, "memory", "memory.limit_in_bytes", "memory.max") == str(MEMORY), "memory")
        check(value(lab, "pids", "pids.max", "pids.max") == str(PIDS), "pids")
        check(value(lab, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "100000", "cpu")
        check(0 < whole["used"]["diskBytes"] < DISK and whole["used"]["memoryBytes"] > 0 and whole["used"]["pids"] > 5, str(whole))


def root_in_a_node_is_nobody_here(labs):
    users = {}
    for lab in (labs.mallory, labs.victim):
        check(lab.root("id -u").stdout.strip() == "0", "not root in its own node")
        pids = text_of(f"{next(iter(cgroups_of(lab).values()))}/node1/cgroup.procs").split() + [p.split()[0] for p in lab_processes(lab.profile)]
        users[lab] = {os.stat(f"/proc/{p}").st_uid for p in pids if os.path.exists(f"/proc/{p}")}
        check(users[lab] and min(users[lab]) >= FIRST_USER, f"processes run as {users[lab]}")
    check(not users[labs.mallory] & users[labs.victim], "two labs share users")
    mine = labs.mallory.root("ls /proc | grep -c '^[0-9]'; cat /proc/1/comm; ls /var/lib/lab/profiles /root /home").stdout
    check(labs.victim.profile not in mine and labs.mallory.profile not in mine, mine)


def settings_of_the_kernel_stay(labs):
    keep = ["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/kernel/pid_max", "/proc/sys/vm/overcommit_memory",
            "/proc/sys/vm/drop_caches", "/proc/sys/fs/file-max", "/proc/sys/kernel/randomize_va_space"]
    keep = [k for k in keep if os.path.exists(k)]
    before = {k: text_of(k) for k in keep if os.access(k, os.R_OK) and not k.endswith("drop_caches")}
    fresh = "mkdir -p /tmp/p && { mountpoint -q /tmp/p || mount -t proc proc /tmp/p; } && "
    for path in keep + ["/proc/sysrq-trigger"]:
        refused(labs.mallory, f"echo '|/tmp/x' > {path}")
        refused(labs.mallory, fresh + f"echo 1 > {path.replace('/proc', '/tmp/p', 1)}")   # nor by a mount of its own
    check(before == {k: text_of(k) for k in before}, "a setting changed")
    refused(labs.mallory, "head -c 1 /proc/kcore")
    refused(labs.mallory, "dmesg")
    refused(labs.mallory, "date -s 2001-01-01")
    labs.mallory.shell("node1", "hostname", "mallory")
    check(socket.gethostname() not in ("mallory", "node1"), "the machine has another name")


def devices_of_the_machine_are_out_of_reach(labs):
    disk = run("findmnt", "-n", "-o", "MAJ:MIN", "/").strip().replace(":", " ")
    for place in ("/tmp", "/dev", "/var/tmp", "/root"):
        refused(labs.mallory, f"mknod {place}/disk b {disk}")
        refused(labs.mallory, f"mknod {place}/kmem c 1 1")
    seen = labs.mallory.shell("node1", "sh", "-c", "find /dev -type b -o -type c | grep -v pts/").split()
    check(sorted(seen) == sorted("/dev/" + n for n in "null zero full random urandom tty net/tun".split() if os.path.exists("/dev/" + n)), str(seen))
    labs.mallory.shell("node1", "sh", "-c", "truncate -s 8m /var/tmp/own && mkfs.ext4 -q -F /var/tmp/own")
    refused(labs.mallory, "mount -t ext4 -o loop /var/tmp/own /mnt")
    refused(labs.mallory, "mount -t debugfs d /mnt || mount -t tracefs t /mnt || mount -t securityfs s /mnt || mount -t devtmpfs d /mnt")
    refused(labs.mallory, "find /sys -type f -perm /200 -not -path '/sys/fs/cgroup/*' -not -path '*/net/*' 2>/dev/null | head -400 | "
            "while read f; do [ -w $f ] && echo $f; done | grep .", "files of /sys that it may write")
    # Devices that were there before, seen by whoever has a file system of the machine: made here, used there.
    node = run(LAB, "shell", "-p", labs.mallory.profile, "node1", "--", "sh", "-c", "ls -ld /var/tmp")
    check("/var/tmp" in node, node)
    planted = f"/var/lib/lab/profiles/{labs.mallory.profile}/nodes/node1/var/tmp/planted"
    os.mknod(planted, 0o666 | 0o060000, os.makedev(*map(int, disk.split())))
    try:
        labs.mallory.shell("node1", "test", "-b", "/var/tmp/planted")
        refused(labs.mallory, "dd if=/var/tmp/planted of=/dev/null count=1 bs=512")
    finally:
        os.unlink(planted)


def cgroups_lead_nowhere(labs):
    refused(labs.mallory, "find /sys/fs/cgroup -name release_agent | grep .")
    refused(labs.mallory, "mkdir -p /tmp/c && mount -t cgroup -o memory cgroup /tmp/c && ls /tmp/c/release_agent")
    refused(labs.mallory, "mount -t cgroup -o none,name=mallory cgroup /mnt")
    own = labs.mallory.root("cd /sys/fs/cgroup; ls memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/cgroup.procs memory.max cpu.max 2>/dev/null").stdout.split()
    check(len(own) >= 2, f"its own cgroup: {own}")
    for name in own:
        if not name.endswith("procs"):
            refused(labs.mallory, f"echo -1 > /sys/fs/cgroup/{name} || echo max > /sys/fs/cgroup/{name}")
    check(value(labs.mallory, "memory", "memory.limit_in_bytes", "memory.max") == str(MEMORY), "the limit changed")


def the_machines_files_are_out_of_reach(labs):
    for path in ("/usr", "/opt/lab/bin/lab", "/opt/lab/bin/share", "/etc/ssl/certs"):
        refused(labs.mallory, f"mount -o remount,rw,bind {path} && touch {path}")
        refused(labs.mallory, f"umount {path}")
    refused(labs.mallory, "touch /usr/mallory || rm -f /usr/bin/true || echo x >> /opt/lab/bin/lab")
    for namespace in ("mnt", "pid", "net", "user"):
        inside = labs.mallory.root(f"readlink /proc/1/ns/{namespace}").stdout
        check(inside and inside.strip() != os.readlink(f"/proc/self/ns/{namespace}"), namespace)
    # What only a call tells: kernel modules, another kernel, files by handle, the hypervisor's sockets.
    calls = """
import ctypes, errno, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
handle = (ctypes.c_char * 136)(*b"\\x08\\0\\0\\0\\x01\\0\\0\\0\\x02\\0\\0\\0\\0\\0\\0\\0")
for name, number, args in [("init_module", 175, (0, 0, b"")), ("kexec_load", 246, (0, 0, 0, 0)), ("bpf", 321, (5, 0, 0)),
                           ("open_by_handle_at", 304, (-100, handle, 0)), ("iopl", 172, (3,)), ("swapoff", 168, (b"/x",))]:
    if libc.syscall(number, *args) != -1 or ctypes.get_errno() != errno.EPERM: sys.exit(name + " %d" % ctypes.get_errno())
try: socket.socket(40, socket.SOCK_STREAM); sys.exit("vsock")
except OSError: pass
"""
    if os.uname().machine == "x86_64":
        done = run(LAB, "shell", "-p", labs.mallory.profile, "node1", "--", "/usr/bin/python3", "-c", calls, check=False)
        check(done.returncode == 0, done.stdout + done.stderr)


def links_lead_nobody_out(labs):
    """Traps for the programs of this machine that read and write a node's files, which are root."""
    secret, out = f"/tmp/{labs.profile}.secret", f"/tmp/{labs.profile}.out"
    proof = f"/tmp/{labs.profile}.proof"
    with open(secret, "w") as f:
        f.write("of the machine\n")
    try:
        m = labs.mallory
        m.shell("node1", "sh", "-c", f"ln -sf {secret} /root/link; ln -sfn /proc/1/root /root/proc; ln -sfn {'../' * 20}tmp /root/up; "
                f"mkfifo /root/fifo; mv /var/log/lab /var/log/kept; ln -s /tmp /var/log/lab; ln -sf {secret} /tmp/lab-agent.log")
        for source in ("/root/link", f"/root/up/{os.path.basename(secret)}", f"/root/proc{secret}", "/root/fifo", "/proc/kcore", "/dev/zero"):
            check(m.cmd("cp", "node1:" + source, out, check=False, timeout=30).returncode != 0, f"lab cp read {source}")
        check(not os.path.exists(out), "lab cp wrote something")
        m.cmd("cp", "/etc/hostname", "node1:/root/link")   # replaces the link
        m.cmd("cp", "/etc/hostname", f"node1:/root/up/{os.path.basename(secret)}")   # in the node's own /tmp
        check(text_of(secret) == "of the machine\n", "a link led lab cp out of the node")
        done = m.cmd("logs", check=False, timeout=30)
        check("of the machine" not in done.stdout, "lab logs read a file of this machine")
        m.shell("node1", "sh", "-c", "rm /var/log/lab; mv /var/log/kept /var/log/lab")
        # The files that every start writes: the directories that they are in lead elsewhere.
        m.shell("node1", "sh", "-c", f"mv /etc/cni /etc/cni.kept; ln -s {'../' * 20}tmp /etc/cni; ln -sf {secret} /etc/hostname")
        m.cmd("node start", "node1", check=False)   # it may say that the node's own link leads nowhere
        check(text_of(secret) == "of the machine\n" and not os.path.exists("/tmp/net.d"), "a start wrote outside of the node")
        m.shell("node1", "sh", "-c", "rm /etc/cni; mv /etc/cni.kept /etc/cni")
        # The admin's kubeconfig, which commands here use: a program to run, a file to send along.
        m.shell("node1", "sh", "-c", "cp -p /etc/kubernetes/admin.conf /root/kept; sed -i 's|client-certificate-data|exec: {apiVersion: client.authentication.k8s.io/v1, "
                f"command: touch, args: [{proof}], interactiveMode: Never}}\\n    x-data|; s|server: .*|server: https://203.0.113.1:6443|' /etc/kubernetes/admin.conf")
        done = run(LAB, "kubectl", "-p", m.profile, "get", "nodes", check=False, timeout=60)
        check(done.returncode != 0 and not os.path.exists(proof), "a kubeconfig's program was run on this machine")
        m.shell("node1", "mv", "/root/kept", "/etc/kubernetes/admin.conf")
        check(m.answers(), "the API after all that")
    finally:
        for path in (secret, out, proof):
            if os.path.exists(path):
                os.unlink(path)


def a_privileged_pod_is_no_more_than_its_node(labs):
    m, core = labs.mallory, text_of("/proc/sys/kernel/core_pattern")
    m.kubectl("apply", "-f", "-", stdin=POD)
    m.kubectl("wait", "--for=condition=Ready", "pod/mallory", "--timeout=120s", timeout=150)
    pod = ("exec", "mallory", "--", "sh", "-c")
    check("yes" in m.kubectl(*pod, "id -u | grep -qx 0 && mount -t tmpfs t /tmp && ls /host/opt/lab/bin/lab && echo yes"), "it is not privileged in its node")
    for script in ("echo '|/tmp/x' > /proc/sys/kernel/core_pattern", "echo '|/tmp/x' > /host/proc/sys/kernel/core_pattern", "echo b > /proc/sysrq-trigger",
                   "mknod /tmp/disk b 254 0", "chroot /host mount -o remount,rw,bind /usr", "touch /host/usr/mallory"):
        check(run(LAB, "kubectl", "-p", m.profile, *pod, script, check=False, timeout=60).returncode != 0, f"a pod could: {script}")
    m.kubectl("delete", "pod", "mallory", "--now")
    check(text_of("/proc/sys/kernel/core_pattern") == core, "core_pattern changed")


def no_port_of_others_answers(labs):
    server = socket.socket()
    server.bind(("0.0.0.0", 0))
    server.listen()
    port = server.getsockname()[1]
    listen = f"import http.server; http.server.HTTPServer(('0.0.0.0', {port}), http.server.BaseHTTPRequestHandler).serve_forever()"
    shell = subprocess.Popen([LAB, "shell", "-p", labs.victim.profile, "node1", "--", "/usr/bin/python3", "-c", listen],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    hosts = [a["local"] for link in json.loads(run("ip", "-j", "-4", "addr")) for a in link["addr_info"] if not a["local"].startswith("127.")]
    scan = f"""
import socket, concurrent.futures
def try_one(a):
    with socket.socket() as s:
        s.settimeout(1)
        return a if s.connect_ex((a, {port})) == 0 else None
subnet = "{labs.mallory.address().rsplit('.', 1)[0]}."
for found in concurrent.futures.ThreadPoolExecutor(40).map(try_one, %s + [subnet + str(i) for i in range(1, 40)]):
    if found: print(found)
"""
    try:
        there = scan % [labs.victim.address()]
        wait_for("the victim's own port", lambda: labs.victim.address() in run(LAB, "shell", "-p", labs.victim.profile, "node1", "--", "/usr/bin/python3", "-c", there))
        found = run(LAB, "shell", "-p", labs.mallory.profile, "node1", "--", "/usr/bin/python3", "-c", scan % (hosts + ["127.0.0.1"]))
        check(not found.strip(), f"these answered: {found}")
    finally:
        server.close()
        shell.terminate()
        shell.wait()
        labs.victim.root(f"pkill -f 'serve_[f]orever'")


def memory_ends_inside(labs):
    before = labs.mallory.whole()["used"]["oomKills"]
    done = labs.mallory.root("tail /dev/zero")
    check(done.returncode != 0, "a process took more memory than its lab may")
    wait_for("a killed process", lambda: labs.mallory.whole()["used"]["oomKills"] > before)
    check(labs.victim.whole()["used"]["oomKills"] == 0, "the other lab lost a process")
    check(labs.victim.answers(), "the other lab's API")
    wait_for("the lab's own API", labs.mallory.answers)


def the_disk_ends_inside(labs):
    image = f"/var/lib/lab/profiles/{labs.mallory.profile}.img"
    labs.mallory.cmd("snapshot save", "ready")
    write = ("create", "configmap", "while-full", "--from-literal=a=" + "x" * 60000)
    labs.mallory.root("dd if=/dev/zero of=/var/tmp/full bs=1M; dd if=/dev/zero of=/var/tmp/rest bs=512")
    check(os.stat(image).st_blocks * 512 <= DISK + (16 << 20), "the image is larger than its limit")
    said = ""
    for i in range(60):
        done = run(LAB, "kubectl", "-p", labs.mallory.profile, "create", "configmap", f"while-full-{i}", write[-1], check=False, timeout=60)
        said = done.stderr
        if done.returncode != 0:
            break
    print("      a write to the API on a full disk: " + said.strip(), flush=True)
    check(done.returncode != 0 and ("space" in said or "full" in said), f"what a full disk says: {said}")
    check(labs.victim.answers(), "the other lab's API")
    labs.mallory.root("rm /var/tmp/full /var/tmp/rest")
    wait_for("writes again", lambda: run(LAB, "kubectl", "-p", labs.mallory.profile, *write, check=False, timeout=60).returncode == 0)
    # Going back to a snapshot needs space, too.
    labs.mallory.root("dd if=/dev/zero of=/var/tmp/full bs=1M; dd if=/dev/zero of=/var/tmp/rest bs=512")
    labs.mallory.cmd("snapshot restore", "ready")
    check(labs.mallory.root("ls /var/tmp/full").returncode != 0 and labs.mallory.answers(), "the snapshot")


def processes_end_inside(labs):
    bomb = subprocess.Popen([LAB, "shell", "-p", labs.mallory.profile, "node1", "--", "sh", "-c", "bomb() { bomb | bomb & }; bomb; sleep 60"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("as many processes as the lab may have", lambda: int(value(labs.mallory, "pids", "pids.current", "pids.current")) >= PIDS - 5, 60, 0.05)
        for _ in range(3):
            check(labs.victim.answers(), "the other lab's API")
            check(int(value(labs.mallory, "pids", "pids.current", "pids.current")) <= PIDS, "more processes than allowed")
            time.sleep(0.3)
        check(labs.victim.root("true").returncode == 0, "a shell in the other lab")
    finally:
        labs.mallory.cmd("stop", timeout=120)
        bomb.wait()


def limits_come_back_with_a_start_and_can_be_changed(labs):
    m = labs.mallory
    check(m.cmd("start", "--no-kubeconfig", "--lab-disk", "500m", check=False).returncode == 1, "a disk shrank")
    m.cmd("start", "--no-kubeconfig", "--lab-pids", "1000", "--lab-disk", "1000m")
    whole = m.whole()
    check(whole["limits"] == {"memoryBytes": MEMORY, "cpus": 1, "pids": 1000, "diskBytes": 1000 << 20}, str(whole))
    check(value(m, "pids", "pids.max", "pids.max") == "1000" and value(m, "memory", "memory.limit_in_bytes", "memory.max") == str(MEMORY), "cgroups")
    size = os.statvfs(f"/var/lib/lab/profiles/{m.profile}")
    check(size.f_blocks * size.f_frsize > DISK, f"the disk did not grow: {size}")
    check(m.answers() and labs.victim.answers(), "the APIs at the end")


if __name__ == "__main__":
    main([both_start_and_say_what_they_may_take, root_in_a_node_is_nobody_here, settings_of_the_kernel_stay, devices_of_the_machine_are_out_of_reach,
          cgroups_lead_nowhere, the_machines_files_are_out_of_reach, links_lead_nobody_out, a_privileged_pod_is_no_more_than_its_node, no_port_of_others_answers, memory_ends_inside,
          the_disk_ends_inside, processes_end_inside, limits_come_back_with_a_start_and_can_be_changed], Labs())
