#!/usr/bin/python3
"""lab join --vm: a real virtual machine under a real libvirtd joins a cluster and runs a pod; and what goes wrong on the way.

The master is the one node of a lab that was started with --no-init: libvirtd and QEMU run in it, with its own /etc, /run,
network and /dev, which has no kvm. Nothing of this machine changes but for the base image, which is deleted in the end.
  LAB_BINARY=FILE    the binary to test; share/ stands beside it (default: build/lab)
  LAB_VM_IMAGE=NAME  a base image that is there already (lab vm image list), instead of a new one
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
os.environ.setdefault("LAB_PATIENCE", "600")  # the machine's processors are emulated ones
from labtest import LAB, Lab, check, main, needed, run, wait_for  # noqa: E402

IMAGES = "/var/lib/lab/vm/images"
GROUP = "/var/lib/lab/vm/groups/vm"
QEMU_CONF = """namespaces = []
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
cgroup_controllers = []
stdio_handler = "file"
"""
LIBVIRTD_CONF = 'auth_unix_rw = "none"\nlog_outputs = "2:file:/var/log/libvirtd.log"\n'
POD = """
apiVersion: v1
kind: Pod
metadata: {name: guest}
spec:
  nodeName: worker
  tolerations: [{operator: Exists}]
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "echo hello from $(hostname); sleep 100000"]
"""


class VmLab(Lab):
    def __init__(self):
        super().__init__(1)
        self.image = os.environ.get("LAB_VM_IMAGE") or f"e2e-{os.getpid()}"

    def file(self, path):
        """A file of the master, from outside."""
        return f"/var/lib/lab/profiles/{self.profile}/nodes/node1{path}"

    def master(self, *argv, **kw):
        return self.shell("node1", *argv, **kw)

    def lab(self, *argv, timeout=1500):
        """lab on the master: exit code and all that it said."""
        done = subprocess.run([LAB, "shell", "-p", self.profile, "node1", "--", "lab", *map(str, argv)],
                              capture_output=True, text=True, timeout=timeout)
        return done.returncode, done.stdout + done.stderr

    def expect(self, code, texts, *argv):
        got, said = self.lab(*argv)
        check(got == code, f"lab {' '.join(argv)}: exit code {got}, not {code}:\n{said}")
        for text in texts:
            check(re.search(text, said), f"nothing like {text!r} in:\n{said}")
        return said

    def join(self, *flags):
        return ("join", "--vm", "worker", "--memory", "1536Mi", "--boot-timeout", "900s", "--wait-ready", "600s", *flags)

    def traces(self):
        """All that libvirt and the disk hold of machines."""
        out = [f"{kind} {name}" for kind, argv in (("domain", ["list", "--all"]), ("network", ["net-list", "--all"]), ("pool", ["pool-list", "--all"]))
               for name in self.master("virsh", *argv, "--name").split()]
        for part in ("machines", "volumes", "consoles"):
            if os.path.isdir(self.file(f"{GROUP}/{part}")):
                out += [f"{part}/{n}" for n in os.listdir(self.file(f"{GROUP}/{part}"))]
        network = self.file("/etc/libvirt/qemu/networks/lab-vm.xml")
        if os.path.exists(network) and "<host " in open(network).read():
            out.append("a reserved address")
        return sorted(out)

    def delete(self):
        try:
            return super().delete()
        finally:
            if not os.environ.get("LAB_VM_IMAGE"):
                run(LAB, "vm", "image", "delete", self.image)


@needed
def a_base_image_is_made(lab):
    if os.environ.get("LAB_VM_IMAGE"):
        check(lab.image in run(LAB, "vm", "image", "list"), f"there is no image {lab.image}")
        return
    begun = time.monotonic()
    said = run(LAB, "vm", "image", "build", lab.image, timeout=1800)
    check("Installing Debian bookworm" in said, said)
    print(f"      {run(LAB, 'vm', 'image', 'list').splitlines()[-1]}   ({time.monotonic() - begun:.0f} s)", flush=True)
    check(not [n for n in os.listdir(IMAGES) if n.endswith((".new", ".old"))], "half an image is left")


@needed
def a_master(lab):
    lab.cmd("start", "--nodes", "1", "--no-init", "--no-kubeconfig")
    lab.master("lab", "init", "--node-name", "node1", "--node-monitor-grace-period", "60s")


def without_libvirt(lab):
    """No library, then no daemon: nothing is made, no token is left."""
    library = os.path.realpath("/usr/lib/x86_64-linux-gnu/libvirt.so.0")
    lab.master("sh", "-c", f"touch /tmp/none && mount --bind /tmp/none {library}")
    try:
        lab.expect(1, [r"error: libvirt is not installed on this machine: ", "what to do: install and start it: apt-get install libvirt-daemon-system"], *lab.join())
    finally:
        lab.master("umount", library)
    lab.expect(1, [r"error: no libvirt daemon answers at qemu:///system: .*libvirt-sock", "systemctl start libvirtd"], *lab.join())
    lab.expect(1, [r"no libvirt daemon answers"], "vm", "list")
    check("lab join --ssh" not in lab.master("lab", "token", "list"), "a token of a join that never began is left")
    lab.expect(1, [r"no libvirt daemon answers"], "start", "-p", "vms", "--driver", "libvirt", "--no-kubeconfig")
    lab.expect(0, [r"Deleted lab \"vms\""], "delete", "-p", "vms", "--force")
    lab.expect(2, [r"\"Worker\" is no name for a machine"], "join", "--vm", "Worker")
    lab.expect(2, [r"--memory: a node needs at least 512Mi"], "join", "--vm", "w", "--memory", "100Mi")
    lab.expect(2, [r"--node-ip does not go with --vm"], "join", "--vm", "w", "--node-ip", "10.0.0.1")
    lab.expect(0, [r"w2: would make a machine with 2 processors and 2048 MiB"], "join", "--vm", "w", "--count", "2", "--dry-run")
    check(not os.path.exists(lab.file("/var/lib/lab/vm")), "something was made")


@needed
def libvirtd(lab):
    for path, text in (("/etc/libvirt/qemu.conf", QEMU_CONF), ("/etc/libvirt/libvirtd.conf", LIBVIRTD_CONF)):
        os.makedirs(os.path.dirname(lab.file(path)), exist_ok=True)
        with open(lab.file(path), "w") as f:
            f.write(text)
    with open(lab.file("/etc/passwd"), "a") as f:  # libvirt looks for it, whoever runs its machines
        f.write("libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin\n")
    with open(lab.file("/etc/group"), "a") as f:
        f.write("libvirt-qemu:x:64055:\nkvm:x:64056:\n")
    lab.master("libvirtd", "-d")
    wait_for("libvirtd", lambda: lab.master("virsh", "version"))


def a_damaged_base_image(lab):
    lab.expect(1, [r"error: there is no base image \"debian\"", "lab vm image build"], *lab.join())
    there = lab.file(f"{IMAGES}/debian")
    os.makedirs(os.path.dirname(there))
    run("cp", "-r", "--sparse=always", f"{IMAGES}/{lab.image}", there)
    disk = f"{there}/disk.qcow2"
    with open(disk, "r+b") as f:
        f.seek(os.path.getsize(disk) // 2)
        byte = f.read(1)
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte[0] ^ 1]))
    lab.expect(1, [r"the base image is damaged: \S+/disk.qcow2 is not what it was", "lab vm image build"], *lab.join())
    with open(disk, "r+b") as f:
        f.seek(os.path.getsize(disk) // 2)
        f.write(byte)
    with open(lab.file("/root/text"), "w") as f:
        f.write("no disk\n" * 100)
    lab.expect(1, [r"/root/text is no disk of a machine"], *lab.join("--image", "/root/text"))
    check(lab.traces() == [], f"something was made: {lab.traces()}")


def kill_when(child, path):
    """Kills the command in the node (a grandchild of ours) as soon as the file is there; what it has said."""
    def command():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline") as line, open(f"/proc/{pid}/stat") as stat:
                    if line.read().startswith("lab\0join\0--vm\0") and stat.read().rsplit(")", 1)[1].split()[1] == str(child.pid):
                        return int(pid)
            except OSError:
                continue
        return None
    pid = wait_for("the command", command, pause=0.001)
    wait_for(path, lambda: os.path.exists(path) or child.poll() is not None, pause=0.0005)
    os.kill(pid, signal.SIGKILL)
    return child.communicate(timeout=60)[0]


def killed_while_it_is_made(lab):
    """SIGKILL as soon as this or that stands: the next command removes what is there, and the last one completes."""
    places = {"the record": f"{GROUP}/machines/worker.json", "the seed": f"{GROUP}/volumes/worker.seed.iso",
              "the disk": f"{GROUP}/volumes/worker.qcow2", "the domain": "/etc/libvirt/qemu/lab-vm-worker.xml"}
    for what, path in places.items():
        child = subprocess.Popen([LAB, "shell", "-p", lab.profile, "node1", "--", "lab", *lab.join()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said = kill_when(child, lab.file(path))
        check(child.returncode != 0, f"it was not killed at {what}: {said}")
        check("machines/worker.json" in lab.traces(), f"killed at {what}: no record: {lab.traces()}")
        print(f"      killed at {what}: {', '.join(lab.traces())}", flush=True)
        lab.expect(0, [], "vm", "delete", "worker", "--force")
        left = [t for t in lab.traces() if "worker" in t or "reserved" in t]
        check(not left, f"killed at {what}; delete leaves {left}")
    # Once more, and no delete in between: the join itself is the next command.
    child = subprocess.Popen([LAB, "shell", "-p", lab.profile, "node1", "--", "lab", *lab.join()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    kill_when(child, lab.file(places["the disk"]))


@needed
def a_machine_joins(lab):
    begun = time.monotonic()
    said = lab.expect(0, [r"\[create\] Machine worker: 2 processors, 1536 MiB", r"root@\S+ +worker +joined", r"1 of 1 hosts joined"], *lab.join())
    print("\n".join("      " + line for line in said.strip().splitlines()) + f"\n      ({time.monotonic() - begun:.0f} s)", flush=True)
    check("emulated" in said, f"no warning of the emulation:\n{said}")
    wait_for("the node Ready", lambda: "worker" in ready(lab))
    print("      " + lab.master("lab", "vm", "list").strip().replace("\n", "\n      "), flush=True)


def kubectl(lab, *argv, **kw):
    return lab.master("kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *argv, **kw)


def ready(lab):
    return [n["metadata"]["name"] for n in json.loads(kubectl(lab, "get", "nodes", "-o", "json"))["items"]
            if any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"])]


def it_is_a_machine_of_its_own(lab):
    """Its kernel is Debian's, its PID 1 systemd; its host key is the one that was made for it."""
    node = json.loads(kubectl(lab, "get", "node", "worker", "-o", "json"))
    info = node["status"]["nodeInfo"]
    print(f"      {info['kernelVersion']}, {info['osImage']}, {info['containerRuntimeVersion']}", flush=True)
    check("cloud" in info["kernelVersion"], f"the kernel is {info['kernelVersion']}")
    machine = json.loads(lab.master("lab", "vm", "list", "-o", "json"))[0]
    address = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    check(address == [machine["address"]], f"the node is at {address}, the machine at {machine['address']}")
    scanned = wait_for("its host key", lambda: lab.master("ssh-keyscan", "-t", "ed25519", machine["address"], check=False).stdout).split()
    check(scanned[1:3] == machine["hostKey"].split()[:2], f"its host key is {scanned}")
    xml = lab.master("virsh", "dumpxml", "lab-vm-worker")
    check('group="vm"' in xml and 'name="worker"' in xml, f"no mark in\n{xml}")


def it_runs_a_pod(lab):
    kubectl(lab, "apply", "-f", "-", stdin=POD)
    wait_for("the pod Running", lambda: json.loads(kubectl(lab, "get", "pod", "guest", "-o", "json"))["status"]["phase"] == "Running")
    print("      " + kubectl(lab, "get", "nodes,pods", "-o", "wide").strip().replace("\n", "\n      "), flush=True)
    wait_for("its log", lambda: "hello from guest" in kubectl(lab, "logs", "guest"))
    check(kubectl(lab, "exec", "guest", "--", "hostname").strip() == "guest", "exec")
    # The pod network and the Service proxy of the machine: a name, and the API server behind its cluster IP.
    check("10.96.0.1" in wait_for("a name", lambda: kubectl(lab, "exec", "guest", "--", "nslookup", "kubernetes.default.svc.cluster.local")), "no name")
    ip = json.loads(kubectl(lab, "get", "pod", "guest", "-o", "json"))["status"]["podIP"]
    lab.master("ping", "-c", "1", "-W", "20", ip)


def again_changes_nothing(lab):
    before = lab.master("virsh", "domuuid", "lab-vm-worker"), lab.master("virsh", "domid", "lab-vm-worker")
    said = lab.expect(0, [r"had the program already", r"1 of 1 hosts joined"], *lab.join())
    check(before == (lab.master("virsh", "domuuid", "lab-vm-worker"), lab.master("virsh", "domid", "lab-vm-worker")), f"another machine:\n{said}")
    lab.expect(1, [r"the disks of these machines stand on: worker"], "vm", "image", "delete", "debian")


def one_that_cannot_boot_is_told_with_its_console(lab):
    """A second machine whose kernel is none; it is deleted alone."""
    kernel = lab.file(f"{IMAGES}/broken/vmlinuz")
    run("cp", "-r", "--sparse=always", lab.file(f"{IMAGES}/debian"), lab.file(f"{IMAGES}/broken"))
    manifest = lab.file(f"{IMAGES}/broken/image.json")
    with open(kernel, "wb") as f:
        f.write(b"\0" * 4096)
    with open(manifest) as f:
        known = json.load(f)
    known["sha256"]["vmlinuz"] = run("sha256sum", kernel).split()[0]
    with open(manifest, "w") as f:
        json.dump(known, f)
    lab.expect(1, [r"machine second (does not take SSH connections|stopped|is not running)|libvirt says: ", "what to do: "],
               "join", "--vm", "second", "--image", "broken", "--memory", "512Mi", "--cpus", "1", "--boot-timeout", "5s")
    lab.expect(0, [], "vm", "delete", "second", "--force")
    left = [t for t in lab.traces() if "second" in t]
    check(not left, f"left: {left}")
    shutil.rmtree(os.path.dirname(kernel))


def deleted_completely_and_twice(lab):
    lab.expect(0, [r"Deleted machine \"worker\"", r"Deleted node \"worker\" from the cluster"], "vm", "delete", "worker", "--force")
    lab.expect(0, [r"There is no machine \"worker\"; nothing to delete"], "vm", "delete", "worker", "--force")
    check("worker" not in kubectl(lab, "get", "nodes"), "the node is left")
    for _ in range(2):
        lab.expect(0, [], "vm", "delete", "--all", "--force")
        check(lab.traces() == [], f"left: {lab.traces()}")
    links = lab.master("ip", "-br", "link")
    check("labvm" not in links and "vnet" not in links, f"links: {links}")
    check(not os.path.exists(lab.file(GROUP)), "the group's directory is left")


def a_lab_of_machines(lab):
    """lab start --driver libvirt on the same host: two machines, a master and a worker."""
    begun = time.monotonic()
    said = lab.expect(0, [r"\[nodes\] Starting 2 nodes", r"\[ready\] Waiting for all nodes to be Ready", r"Done! Lab \"vms\" runs 2 nodes"],
                      "start", "-p", "vms", "--driver", "libvirt", "--nodes", "2", "--memory", "1536Mi", "--no-kubeconfig")
    print("\n".join("      " + line for line in said.strip().splitlines()) + f"\n      ({time.monotonic() - begun:.0f} s)", flush=True)
    nodes = lab.master("lab", "kubectl", "-p", "vms", "get", "nodes", "-o", "wide")
    print("      " + nodes.strip().replace("\n", "\n      "), flush=True)
    check(len(re.findall(r"^node[12] +Ready .*cloud", nodes, re.M)) == 2, f"not two machines that are Ready:\n{nodes}")
    check(lab.master("lab", "shell", "-p", "vms", "node2", "--", "uname", "-n").strip() == "node2", "lab shell leads elsewhere")
    lab.expect(7, [], "shell", "-p", "vms", "node2", "--", "sh", "-c", "exit 7")
    status = json.loads(lab.master("lab", "status", "-p", "vms", "-o", "json"))
    check([n["host"] for n in status] == ["Running", "Running"] and status[0]["apiserver"] == "Running", f"status: {status}")
    for _ in range(2):
        lab.expect(0, [], "delete", "-p", "vms", "--force")
    check(lab.traces() == [], f"left: {lab.traces()}")


if __name__ == "__main__":
    if not os.path.exists(LAB):
        sys.exit(f"there is no {LAB}: build it first (tools/build)")
    main([a_base_image_is_made, a_master, without_libvirt, libvirtd, a_damaged_base_image, killed_while_it_is_made, a_machine_joins,
          it_is_a_machine_of_its_own, it_runs_a_pod, again_changes_nothing, one_that_cannot_boot_is_told_with_its_console, deleted_completely_and_twice,
          a_lab_of_machines], VmLab())
