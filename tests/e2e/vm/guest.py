#!/usr/bin/python3
"""Runs inside the virtual machine (see run.py): a lab of three nodes with dockercoins, two students' labs of which one
attacks, then this machine itself as a host of `lab init` under systemd. Every command is printed with what it said; the
last line is the verdict."""
import json
import os
import re
import subprocess
import sys
import time
import traceback

sys.path[:0] = [os.path.join(os.path.dirname(__file__), "..", part) for part in ("lib", "lab", "classroom")]
os.environ.update(LAB_BINARY="/opt/lab/bin/lab", LAB_PATIENCE="300")  # the processors are emulated ones
import attacks  # noqa: E402
import dockercoins  # noqa: E402
import labtest  # noqa: E402
import wireguard  # noqa: E402
from labtest import Failed, Lab, check, needed, run, wait_for  # noqa: E402

KUBECONFIG = "/etc/kubernetes/admin.conf"
attacks.MEMORY, attacks.LIMITS[1] = 600 << 20, "600m"  # of the machine's 2 GB
UNITS = ("containerd", "lab-server", "lab-agent", "lab-overlay")
MANIFEST = "/opt/lab/bin/share/apps/dockercoins.yaml"


def show(command, timeout=600, check_code=True):
    """Runs a command line as a person would, with the command and all it said in the report."""
    print(f"# {command}", flush=True)
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                          env=dict(os.environ, KUBECONFIG=KUBECONFIG))
    print(done.stdout, end="" if done.stdout.endswith("\n") or not done.stdout else "\n", flush=True)
    if check_code and done.returncode != 0:
        raise Failed(f"{command}: exit code {done.returncode}")
    return done.stdout


def kubectl(*args):
    return run("kubectl", "--kubeconfig", KUBECONFIG, *args)


def get(*args):
    return json.loads(kubectl("get", *args, "-o", "json"))


# A lab of three nodes.

def the_machine(_lab):
    show("uname -r; cat /etc/debian_version; ps -o comm= 1; stat -f -c %T /sys/fs/cgroup; nproc; free -m | sed -n 2p; ip -br addr")
    check(run("stat", "-f", "-c", "%T", "/sys/fs/cgroup").strip() == "cgroup2fs", "this is no machine of cgroup v2 alone")
    check(run("ps", "-o", "comm=", "1").strip() == "systemd", "PID 1 is not systemd")


@needed
def lab_start(lab):
    show(f"lab start --nodes 3 --no-kubeconfig --profile {lab.profile}")
    dockercoins.three_nodes_ready(lab)


@needed
def lab_deploy(lab):
    show(f"lab deploy dockercoins --wait --profile {lab.profile}")
    dockercoins.five_deployments_available_on_two_nodes(lab)
    show(f"lab kubectl -p {lab.profile} get nodes -o wide; lab kubectl -p {lab.profile} get deployments,pods -o wide")


def nodes_have_cgroups_of_their_own(lab):
    base = f"/sys/fs/cgroup/lab/{lab.profile}"
    show(f"for n in {base}/node*; do echo ${{n##*/}}: $(cat $n/cgroup.controllers), $(wc -l <$n/init/cgroup.procs) daemons, "
         "$(find $n/kubepods -name 'pod*' | wc -l) pods; done")
    for node in ("node1", "node2", "node3"):
        for controller in ("cpu", "memory", "pids"):
            check(controller in open(f"{base}/{node}/cgroup.subtree_control").read(), f"{node} does not hand {controller} down")


class Host:
    """What labtest.main() asks of a lab, for this machine itself."""
    profile = "host"

    def delete(self):
        show("lab reset --force")


# This machine as a host.

@needed
def lab_init(_host):
    out = show("lab init")
    check("initialized successfully" in out and "lab join" in out or "kubeadm join" in out, "init's closing words")


def units_are_active(_host):
    show("systemctl --no-pager --plain list-units 'lab-*' containerd.service | grep service; systemctl status --no-pager -n 0 lab-agent",
         check_code=False)
    for unit in UNITS:
        wait_for(unit, lambda: run("systemctl", "is-active", unit, check=False).stdout.strip() == "active")
        check(unit == "containerd" or run("systemctl", "is-enabled", unit).strip() == "enabled", f"{unit} would not start at boot")


@needed
def node_is_ready(_host):
    def ready():
        return [c for n in get("nodes")["items"] for c in n["status"]["conditions"] if c["type"] == "Ready" and c["status"] == "True"]
    try:
        wait_for("the node Ready", ready)
    finally:
        show("kubectl get nodes -o wide; ip -br link", check_code=False)


POD = """
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "sleep 100000"]
    resources: {limits: {memory: 64Mi, cpu: 500m}}
"""


@needed
def a_pod_runs(_host):
    show("kubectl taint nodes --all node-role.kubernetes.io/control-plane-")
    try:
        run("kubectl", "--kubeconfig", KUBECONFIG, "apply", "-f", "-", stdin=POD)
        wait_for("the pod Running", lambda: get("pod", "limited")["status"]["phase"] == "Running")
    finally:
        show("kubectl get pods -A -o wide; kubectl describe pod limited | tail -n 8", check_code=False)
    out = show("kubectl exec limited -- nslookup kubernetes.default.svc.cluster.local")
    check("10.96.0.1" in out, "the pod does not resolve the API server's name")


def limits_are_in_the_cgroups(_host):
    uid = get("pod", "limited")["metadata"]["uid"]
    found = run("find", "/sys/fs/cgroup", "-type", "d", "-name", f"*{uid.replace('-', '?')}*").split()
    check(len(found) == 1, f"cgroups of the pod: {found}")
    show(f"cd {found[0]}; pwd; grep . memory.max cpu.max; cat memory.current; find . -mindepth 1 -type d")
    check(open(found[0] + "/memory.max").read().strip() == str(64 << 20), "memory.max")
    check(open(found[0] + "/cpu.max").read().split() == ["50000", "100000"], "cpu.max")
    check([d for d, _, _ in os.walk(found[0]) if d != found[0]], "its containers are elsewhere")


def dockercoins_mines(_host):
    show(f"kubectl apply -f {MANIFEST}; kubectl wait --for=condition=Available deployment --all --timeout=300s")
    port = get("service", "webui")["spec"]["ports"][0]["nodePort"]

    def hashes():
        return int(json.loads(run("curl", "-sf", "-m", "5", f"http://127.0.0.1:{port}/json"))["hashes"] or 0)
    first = wait_for("the page", lambda: (hashes(),))[0]
    wait_for("a rising counter", lambda: hashes() > first)
    show("kubectl get deployments,pods -o wide")


def the_agent_comes_back(_host):
    before = get("pod", "limited")["status"]["containerStatuses"][0]["containerID"]
    pid = run("systemctl", "show", "-P", "MainPID", "lab-agent").strip()
    show("systemctl kill -s KILL lab-agent")

    def back():
        now = run("systemctl", "show", "-P", "MainPID", "lab-agent").strip()
        return now not in ("0", pid) and run("systemctl", "is-active", "lab-agent", check=False).stdout.strip() == "active"
    wait_for("the agent again", back)
    show("systemctl show -p NRestarts,ActiveState,SubState lab-agent; kubectl exec limited -- echo still here")
    wait_for("exec through the new agent", lambda: "here" in kubectl("exec", "limited", "--", "echo", "here"))
    after = get("pod", "limited")["status"]["containerStatuses"][0]
    check(after["containerID"] == before and after["restartCount"] == 0, "the pod was disturbed by its agent's end")


def init_again_changes_nothing(_host):
    pids = lambda: [run("systemctl", "show", "-P", "MainPID", u) for u in UNITS]
    before = pids()
    show("lab init --skip-phases show-join-command")
    check(pids() == before, "daemons were restarted")


def reset(_host):
    """Units, files, links, cgroups; main() compares the rest of the machine's state."""
    show("lab reset --force")
    show("systemctl --no-pager list-unit-files 'lab-*'; ip -br link; nft list tables; "
         "ls -d /etc/kubernetes /etc/lab /var/lib/lab /var/log/lab /var/lib/kubelet /opt/cni /etc/cni/net.d/* 2>&1", check_code=False)
    left = [u for u in os.listdir("/etc/systemd/system") if u.startswith("lab-") and u != "lab-test.service"]
    check(not left, f"units: {left}")
    for path in ("/etc/kubernetes", "/etc/lab", "/var/lib/kubelet", "/var/lib/lab", "/var/log/lab", "/opt/cni/bin/lab-cni", "/usr/lib/cni/lab-cni"):
        check(not os.path.lexists(path), f"{path} is left")
    check(not [d for d, _, _ in os.walk("/sys/fs/cgroup") if "kubepods" in d], "cgroups of pods are left")
    links = set(re.findall(r"^(\S+?)(?:@\S+)? ", run("ip", "-br", "link"), re.M))
    check(all(l == "lo" or l.startswith("en") for l in links), f"links: {links}")
    check(not run("nft", "list", "ruleset").strip(), "nft rules are left")


# The same with containerd configured as kubeadm's documentation says: systemd makes the cgroups.

@needed
def containerd_by_the_book(_host):
    show("containerd config default | sed 's/SystemdCgroup = false/SystemdCgroup = true/' >/etc/containerd/config.toml; "
         "systemctl restart containerd; grep -n 'SystemdCgroup\\|bin_dir\\|sandbox_image' /etc/containerd/config.toml")


def slices_are_systemds(_host):
    show("systemd-cgls --no-pager /kubepods.slice | cut -c1-100")
    name = "kubepods-pod" + get("pod", "limited")["metadata"]["uid"].replace("-", "_") + ".slice"
    check(run("systemctl", "show", "-P", "MemoryMax", name).strip() == str(64 << 20), "systemd does not know the pod's limit")


def part(title, steps, subject):
    print(f"\n== {title}", flush=True)
    try:
        labtest.main(steps, subject)
    except SystemExit as end:
        if end.code:  # while it is fresh: a later part starts the same units again
            for unit in UNITS:
                show(f"journalctl --no-pager -o short-monotonic -u {unit} | tail -n 40", check_code=False)
            show("dmesg | tail -n 30", check_code=False)
        return int(end.code or 0)
    return 1


PARTS = {
    "lab": ("A lab of three nodes", [the_machine, lab_start, lab_deploy, nodes_have_cgroups_of_their_own, dockercoins.counts_agree],
            lambda: Lab(3)),
    "wireguard": ("A lab that encrypts, by the kernel's WireGuard", wireguard.STEPS, lambda: Lab(2)),
    "students": ("Students' labs, and attacks out of one of them",
                 [attacks.both_start_and_say_what_they_may_take, attacks.root_in_a_node_is_nobody_here, attacks.settings_of_the_kernel_stay,
                  attacks.devices_of_the_machine_are_out_of_reach, attacks.cgroups_lead_nowhere, attacks.the_machines_files_are_out_of_reach,
                  attacks.a_privileged_pod_is_no_more_than_its_node, attacks.no_port_of_others_answers, attacks.memory_ends_inside,
                  attacks.processes_end_inside], attacks.Labs),
    "host": ("This machine as a host, with Debian's containerd",
             [lab_init, units_are_active, node_is_ready, a_pod_runs, limits_are_in_the_cgroups, dockercoins_mines, the_agent_comes_back,
              init_again_changes_nothing, reset], Host),
    "systemd": ("The same, with cgroups by systemd",
                [containerd_by_the_book, lab_init, node_is_ready, a_pod_runs, limits_are_in_the_cgroups, slices_are_systemds, reset], Host),
}


def main():
    code = 1
    try:
        chosen = [p for p in os.environ.get("LAB_VM_PARTS", "").split(",") if p]
        code = 0
        for name, (title, steps, subject) in PARTS.items():
            if not chosen or name in chosen:
                code |= part(title, steps, subject())
    except BaseException:  # whatever it is, the report must tell
        code = 1
        traceback.print_exc(file=sys.stdout)
    print(f"\nvm: exit code {code}", flush=True)
    time.sleep(1)


if __name__ == "__main__":
    main()
