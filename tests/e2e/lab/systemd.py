#!/usr/bin/python3
"""Real systemd as PID 1 of two hosts: init and join install units that run, come back when killed and at boot, and go with
reset. A host is a node of a lab in which systemd is booted, in namespaces of its own, instead of the lab's supervisor."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, wait_for  # noqa: E402

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
MASTER, WORKER = ("lab-server", "lab-agent", "lab-overlay"), ("lab-agent", "lab-overlay")

# The lab's own containerd makes room for the one that systemd starts.
MAKE_ROOM = r"""
import json, socket
s = socket.socket(socket.AF_UNIX)
s.connect("/run/lab/supervise.sock")
s.sendall(b'{"op": "stop", "name": "containerd"}\n')
answer = json.loads(s.recv(65536))
assert answer["ok"], answer
"""
BOOT = r"""
mkdir -p /etc/systemd/system /root/boot
# What would reach through to the machine, or waits for hardware.
for unit in getty.target console-getty.service systemd-logind.service dbus.service dbus.socket systemd-sysctl.service systemd-binfmt.service \
  systemd-modules-load.service systemd-remount-fs.service systemd-udevd.service systemd-udev-trigger.service sys-kernel-debug.mount \
  sys-kernel-tracing.mount sys-fs-fuse-connections.mount dev-hugepages.mount; do ln -sf /dev/null /etc/systemd/system/$unit; done
cat >/root/boot/init <<'END'
mount --make-rprivate /
mount -t proc proc /proc
# Settings of the kernel are the machine's, but for those of this host's own network.
mount --bind /proc/sys /proc/sys
mount --bind /proc/sys/net /proc/sys/net
mount -o remount,bind,ro /proc/sys
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lab /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --show-status=0
END
setsid unshare --mount --pid --ipc --fork sh /root/boot/init </dev/null >/root/boot/log 2>&1 &
for i in $(seq 600); do
  pid=$(pgrep -x systemd -o) && [ -S /proc/$pid/root/run/systemd/private ] && break
  sleep 0.1
done
echo $pid >/root/boot/pid
"""


def _in(lab, node, text, **kw):
    """A command where systemd is PID 1."""
    return lab.shell(node, "sh", "-c", 'exec nsenter -t $(cat /root/boot/pid) -m -p -i bash -c "$0"', text, **kw)


def _boot(lab, node):
    lab.shell(node, "sh", "-c", BOOT)
    wait_for(f"systemd on {node}", lambda: _in(lab, node, "systemctl is-system-running", check=False).stdout.strip() in ("running", "degraded"), pause=0.1)


def _active(lab, node, unit):
    wait_for(f"{unit} on {node}", lambda: _in(lab, node, f"systemctl is-active {unit}", check=False).stdout.strip() == "active", pause=0.1)


def _pid(lab, node, unit):
    return _in(lab, node, f"systemctl show -P MainPID {unit}").strip()


def _ready(lab, node):
    wait_for(f"{node} Ready", lambda: " Ready " in _in(lab, "node1", f"{KUBECTL} get node {node} --no-headers"), pause=0.1)


@needed
def systemd_is_booted(lab):
    lab.start("--no-init")
    for node in ("node1", "node2"):
        lab.shell(node, "python3", "-c", MAKE_ROOM)
        wait_for("the lab's containerd to end", lambda: not lab.pids(node, "/usr/bin/containerd"), pause=0.1)
        _boot(lab, node)
        check(_in(lab, node, "cat /proc/1/comm").strip() == "systemd", "PID 1 is another")


@needed
def init_and_join_install_units(lab):
    _in(lab, "node1", "lab init --node-name node1")
    command = _in(lab, "node1", "lab token create --print-join-command").strip()
    _in(lab, "node2", f"{command} --node-name node2")
    for node, units in (("node1", MASTER), ("node2", WORKER)):
        for unit in units + ("containerd",):
            _active(lab, node, unit)
        for unit in units:
            check(_in(lab, node, f"systemctl is-enabled {unit}").strip() == "enabled", f"{unit} would not start at boot")
            verdict = _in(lab, node, f"systemd-analyze verify --man=no /etc/systemd/system/{unit}.service 2>&1", check=False)
            check(unit not in verdict.stdout, f"systemd says of {unit}: {verdict.stdout}")
        _ready(lab, node)


@needed
def a_pod_runs(lab):
    _in(lab, "node1", f"{KUBECTL} run pod --image=busybox --restart=Never -- sleep 100000")
    wait_for("a pod", lambda: "Running" in _in(lab, "node1", f"{KUBECTL} get pod pod --no-headers"), pause=0.1)


def killed_daemons_come_back(lab):
    before = {unit: _pid(lab, "node2", unit) for unit in WORKER}
    for unit in WORKER:
        _in(lab, "node2", f"systemctl kill -s KILL {unit}")
    for unit in WORKER:
        wait_for(f"{unit} again", lambda: _pid(lab, "node2", unit) not in ("0", before[unit]), pause=0.1)
        _active(lab, "node2", unit)
    wait_for("exec in the pod", lambda: "here" in _in(lab, "node1", f"{KUBECTL} exec pod -- echo here"), pause=0.1)
    check("0" in _in(lab, "node1", f"{KUBECTL} get pod pod --no-headers").split()[3], "the pod was restarted")
    check("lab-agent" in _in(lab, "node2", "journalctl --no-pager -u lab-agent -n 5 2>&1; systemctl status --no-pager lab-agent"), "no word of it")


def init_again_disturbs_nothing(lab):
    before = [_pid(lab, "node1", unit) for unit in MASTER]
    _in(lab, "node1", "lab init --node-name node1 --skip-phases show-join-command")
    check([_pid(lab, "node1", unit) for unit in MASTER] == before, "daemons were restarted")


def the_master_boots_again(lab):
    """Switched off as by its power, with all that ran; nobody types anything."""
    _in(lab, "node1", f"{KUBECTL} create configmap kept --from-literal=a=1")
    lab.shell("node1", "sh", "-c", "kill -9 $(cat /root/boot/pid); while kill -0 $(cat /root/boot/pid) 2>/dev/null; do sleep 0.05; done; rm /root/boot/pid")
    _boot(lab, "node1")
    for unit in MASTER:
        _active(lab, "node1", unit)
    wait_for("what was written before", lambda: "kept" in _in(lab, "node1", f"{KUBECTL} get configmap kept -o name"), pause=0.1)
    _ready(lab, "node1")


def reset_takes_the_units_out(lab):
    for node in ("node2", "node1"):
        _in(lab, node, "lab reset --force")
        left = _in(lab, node, "ls /etc/systemd/system /etc/systemd/system/multi-user.target.wants 2>/dev/null | grep lab; "
                              "systemctl list-units --all --plain --no-legend 'lab-*'; ls -d /etc/kubernetes /var/lib/kubelet /etc/lab/node.json 2>/dev/null", check=False)
        check(left.stdout.strip() == "", f"left on {node}: {left.stdout}")


if __name__ == "__main__":
    main([systemd_is_booted, init_and_join_install_units, a_pod_runs, killed_daemons_come_back, init_again_disturbs_nothing,
          the_master_boots_again, reset_takes_the_units_out], Lab(2))
