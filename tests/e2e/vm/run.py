#!/usr/bin/python3
"""The main job inside a stock Debian virtual machine: systemd as PID 1, cgroup v2 alone, Debian's own kernel, no network.

Makes a root with mmdebstrap, an ext4 disk of it, boots it in QEMU (plain emulation: no KVM needed) and prints what guest.py
says inside. Its exit code is the guest's verdict.
  LAB_BINARY=FILE   the binary to test; share/ stands beside it (default: build/lab)
  LAB_VM_KEEP=1     keeps the Debian root in /var/tmp/lab-vm for the next run
  LAB_VM_ACCEL=kvm  for machines where KVM works
  LAB_VM_PARTS=N,N  only these parts of guest.py: lab, wireguard, students, host, systemd
"""
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.abspath(os.path.join(HERE, "../../.."))
LAB = os.path.abspath(os.environ.get("LAB_BINARY") or os.path.join(TOP, "build/lab"))
KEPT = "/var/tmp/lab-vm"
# A server's Debian: what an installed system has. The lab's own needs come from its list, and from the binary itself.
STOCK = ["systemd-sysv", "udev", "dbus", "kmod", "linux-image-cloud-amd64", "iproute2", "procps", "python3"]
LIMIT = 25 * 60  # seconds for all that happens inside
DISK = "6G"      # sparse

NETWORK = "[Match]\nName=en*\n[Network]\nDHCP=yes\n"
SERVICE = """[Unit]
Description=The end-to-end test of lab
Wants=network-online.target
After=network-online.target
FailureAction=poweroff
SuccessAction=poweroff
[Service]
Type=oneshot
Environment=PYTHONUNBUFFERED=1 HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LAB_VM_PARTS=@PARTS@
ExecStart=/usr/bin/python3 /opt/e2e/vm/guest.py
StandardOutput=file:/dev/ttyS1
StandardError=inherit
[Install]
WantedBy=multi-user.target
"""


def say(text):
    print(f"[vm] {text}", flush=True)


def output(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def linked_packages():
    """The packages of the libraries that the binary is linked with."""
    out = set()
    for path in re.findall(r"=> (/\S+)", output("ldd", LAB)):
        for name in (path, os.path.realpath(path), "/usr" + path):
            found = subprocess.run(["dpkg-query", "-S", name], capture_output=True, text=True)
            if found.returncode == 0:
                out.add(found.stdout.split(":")[0])
                break
    return sorted(out)


def debian_root(work):
    """A Debian root; one of the same packages that was kept serves again."""
    packages = STOCK + output(os.path.join(TOP, "tools/install-deps"), "--list", "run").split() + ["kubernetes-client"] + linked_packages()
    mark = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    root = os.path.join(work, f"root-{mark}")
    if os.path.exists(root):
        say(f"using the root kept in {root}")
        return root
    say("making a Debian bookworm root: " + " ".join(packages))
    half = root + ".new"
    shutil.rmtree(half, ignore_errors=True)
    subprocess.run(["mmdebstrap", "--quiet", "--variant=apt", "--include=" + ",".join(packages), "bookworm", half], check=True)
    os.rename(half, root)
    return root


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def furnish(root):
    """What an installer would have asked for, the lab as its Vagrantfile installs it, and the test."""
    write(f"{root}/etc/hostname", "debian\n")
    write(f"{root}/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 debian\n")
    write(f"{root}/etc/fstab", "/dev/vda / ext4 defaults 0 1\n")
    write(f"{root}/etc/systemd/network/20-wired.network", NETWORK)
    write(f"{root}/etc/systemd/system/lab-test.service", SERVICE.replace("@PARTS@", os.environ.get("LAB_VM_PARTS", "")))
    subprocess.run(["systemctl", f"--root={root}", "--quiet", "enable", "systemd-networkd", "lab-test"], check=True)
    lab = f"{root}/opt/lab/bin"
    shutil.rmtree(lab, ignore_errors=True)
    os.makedirs(lab)
    shutil.copy2(LAB, lab)
    subprocess.run(["strip", f"{lab}/lab"], check=True)
    shutil.copytree(os.path.join(os.path.dirname(LAB), "share"), f"{lab}/share")
    for name in ("lab", "kubeadm"):
        link = f"{root}/usr/local/bin/{name}"
        if not os.path.lexists(link):
            os.symlink("/opt/lab/bin/lab", link)
    shutil.rmtree(f"{root}/opt/e2e", ignore_errors=True)
    for part in ("lib", "lab", "classroom", "vm"):
        shutil.copytree(os.path.join(TOP, "tests/e2e", part), f"{root}/opt/e2e/{part}", ignore=shutil.ignore_patterns("__pycache__"))


def make_disk(root, disk):
    if os.path.exists(disk):
        os.unlink(disk)
    with open(disk, "w") as f:
        f.truncate(0)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", "-d", root, disk, DISK], check=True)


def qemu(root, disk, console, report):
    boot = f"{root}/boot"
    newest = lambda prefix: os.path.join(boot, sorted(n for n in os.listdir(boot) if n.startswith(prefix))[-1])
    return ["qemu-system-x86_64", "-accel", os.environ.get("LAB_VM_ACCEL", "tcg,thread=multi"), "-cpu", "max", "-smp", "2", "-m", "2048",
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-kernel", newest("vmlinuz-"), "-initrd", newest("initrd.img-"),
            "-append", "root=/dev/vda rw console=ttyS0 systemd.unified_cgroup_hierarchy=1 quiet systemd.show_status=0",
            "-drive", f"file={disk},format=raw,if=virtio,cache=unsafe", "-device", "virtio-rng-pci",
            "-nic", "user,model=virtio-net-pci,restrict=on",  # an address by DHCP, and no way out
            "-serial", f"file:{console}", "-serial", f"file:{report}"]


def follow(machine, report, console):
    """Prints the report as it grows; the guest's exit code, from its last line."""
    deadline, done, code = time.monotonic() + LIMIT, 0, None
    while True:
        ended = machine.poll() is not None
        text = open(report, errors="replace").read().replace("\r", "") if os.path.exists(report) else ""
        whole = text.rfind("\n") + 1
        for line in text[done:whole].splitlines():
            verdict = re.match(r"vm: exit code (\d+)", line)
            code = int(verdict.group(1)) if verdict else code
            print(line, flush=True)
        done = max(done, whole)
        if ended:
            break
        if time.monotonic() > deadline:
            say(f"not finished within {LIMIT} s")
            return 1
        time.sleep(0.3)
    if code is None:
        say("the machine ended without a verdict; the end of its console:\n" + open(console, errors="replace").read()[-3000:])
    return 1 if code is None else code


def stop(signum, _frame):
    raise SystemExit(128 + signum)


def main():
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, stop)
    if not os.path.exists(LAB):
        sys.exit(f"there is no {LAB}: build it first (tools/build)")
    keep = os.environ.get("LAB_VM_KEEP") == "1"
    work = KEPT if keep else tempfile.mkdtemp(prefix="lab-vm-", dir="/var/tmp")
    os.makedirs(work, exist_ok=True)
    machine = None
    try:
        begun = time.monotonic()
        root = debian_root(work)
        furnish(root)
        disk, console, report = (os.path.join(work, n) for n in ("disk.img", "console.log", "report.log"))
        for old in (console, report):
            if os.path.exists(old):
                os.unlink(old)
        make_disk(root, disk)
        say(f"root and disk took {time.monotonic() - begun:.0f} s; booting")
        begun = time.monotonic()
        machine = subprocess.Popen(qemu(root, disk, console, report), stdin=subprocess.DEVNULL)
        code = follow(machine, report, console)
        say(f"the machine ran {time.monotonic() - begun:.0f} s")
        return code
    finally:
        if machine and machine.poll() is None:
            machine.kill()
            machine.wait()
        if keep:
            if os.path.exists(os.path.join(work, "disk.img")):
                os.unlink(os.path.join(work, "disk.img"))
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
