#!/usr/bin/python3
"""kubeadm's configuration files, dry runs, phases one by one, preflight and certificates, in the shells of empty nodes."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, wait_for  # noqa: E402

INIT = """apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
bootstrapTokens:
- token: abcdef.0123456789abcdef
  description: of the file
  ttl: 2h0m0s
localAPIEndpoint:
  advertiseAddress: ADDRESS
nodeRegistration:
  taints: []
skipPhases:
- addon/kube-proxy
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: classroom
networking:
  podSubnet: 10.200.0.0/16
  serviceSubnet: 10.100.0.0/16
apiServer:
  certSANs:
  - lab.example
controllerManager:
  extraArgs:
  - name: cluster-signing-duration
    value: 30s
certificateValidityPeriod: 8760h0m0s
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 30
podPidsLimit: 300
shutdownGracePeriod: 30s
"""
JOIN = """apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    token: abcdef.0123456789abcdef
    apiServerEndpoint: ADDRESS:6443
    caCertHashes:
    - PIN
nodeRegistration:
  kubeletExtraArgs:
  - name: node-labels
    value: a=b
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
maxPods: 20
systemReserved:
  cpu: 100m
"""

# What a dry run must leave as it is. Logs and the runtime's own files move by themselves.
STATE = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /tmp -o -path /var/log -o -path /root/.cache \) -prune -o \
  \( -type f -o -type l \) -printf '%p %s %T@\n' | sort
find /etc /var/lib/lab /var/lib/kubelet /opt/cni /run/lab -not -path '*/log/*' \( -type f -o -type l \) -printf '%p %s %T@\n' 2>/dev/null | sort
ip -br link | awk '{print $1}'; ip route; nft list ruleset; cat /proc/sys/net/ipv4/ip_forward
for p in /proc/[0-9]*; do tr '\0' ' ' <$p/cmdline; echo; done | grep -E 'lab (server|agent|overlay)' | sort
"""


def _sh(lab, node, text, **kw):
    return lab.shell(node, "bash", "-lc", text, **kw)


def _put(lab, node, path, text):
    address = _sh(lab, "node1", "hostname -i").split()[0]
    _sh(lab, node, f"cat >{path} <<'END'\n{text.replace('ADDRESS', address)}END\n")


def _unchanged(lab, node, command):
    before = _sh(lab, node, STATE)
    out = _sh(lab, node, command)
    after = _sh(lab, node, STATE)
    changed = set(before.splitlines()) ^ set(after.splitlines())
    check(not changed, f"'{command}' changed: {sorted(changed)[:10]}")
    check("[dryrun] Would" in out, out)
    return out


def _refused(lab, node, command, code, *words):
    done = _sh(lab, node, command, check=False)
    said = done.stdout + done.stderr
    check(done.returncode == code, f"'{command}' ends with {done.returncode}, not {code}:\n{said}")
    for word in words:
        check(word in said, f"'{command}' does not say '{word}':\n{said}")


def _serial(lab, node, source):
    return _sh(lab, node, f"{source} | openssl x509 -noout -serial").strip()


@needed
def empty_nodes(lab):
    lab.start("--no-init")
    _put(lab, "node1", "/root/init.yaml", INIT)


def files_are_printed_judged_and_migrated(lab):
    _sh(lab, "node1", "for k in init join reset upgrade; do kubeadm config print $k-defaults >/tmp/d.yaml; kubeadm config validate --config /tmp/d.yaml || exit 1; done")
    check(_sh(lab, "node1", "kubeadm config validate --config /root/init.yaml 2>/dev/null").strip() == "ok", "ok is not said")
    _sh(lab, "node1", "sed 's/podSubnet/podSubent/; s/clusterName: classroom/clusterName: [1]/' /root/init.yaml >/root/bad.yaml")
    for command in ("config validate", "init"):
        _refused(lab, "node1", f"kubeadm {command} --config /root/bad.yaml", 1 if "config" in command else 2,
                 "/root/bad.yaml, line 18, column 3: unknown field \"networking.podSubent\"; did you mean \"podSubnet\"?",
                 "line 16, column 1: clusterName must be text")
    done = _sh(lab, "node1", "kubeadm config validate --config /root/init.yaml", check=False)
    check("KubeletConfiguration's shutdownGracePeriod has no effect" in done.stderr and "maxPods" not in done.stderr, done.stderr)
    _sh(lab, "node1", "sed 's/maxPods: 30/evictionHard: {memory.available: much}/' /root/init.yaml >/root/bad.yaml")
    _refused(lab, "node1", "kubeadm init --config /root/bad.yaml", 2, "KubeletConfiguration: evictionHard: memory.available: \"much\" is no quantity")
    old = "apiVersion: kubeadm.k8s.io/v1beta3\\nkind: ClusterConfiguration\\napiServer:\\n  extraArgs:\\n    v: \\\"4\\\"\\n"
    out = _sh(lab, "node1", f"printf \"{old}\" >/root/old.yaml; kubeadm config migrate --old-config /root/old.yaml")
    check("kubeadm.k8s.io/v1beta4" in out and "- name: v\n    value: \"4\"" in out, out)


def flags_and_files_do_not_mix(lab):
    _refused(lab, "node1", "kubeadm init --config /root/init.yaml --token abcdef.0123456789abcdef --pod-network-cidr 10.9.0.0/16", 2,
             "can not mix '--config' with arguments [pod-network-cidr token]")
    _refused(lab, "node1", "kubeadm init --skip-phases addon/nothing", 1, "invalid phase name: addon/nothing")


def preflight_names_what_overlaps(lab):
    _sh(lab, "node1", "ip route add 10.200.7.0/24 dev eth0")
    _refused(lab, "node1", "kubeadm init --config /root/init.yaml", 3, "[ERROR HostRoutes]", "10.200.7.0/24 through eth0", "ip route del")
    out = _sh(lab, "node1", "kubeadm init --config /root/init.yaml --dry-run --ignore-preflight-errors=hostroutes")
    check("Finished dry-running" in out, out)
    _sh(lab, "node1", "ip route del 10.200.7.0/24")


def a_dry_run_of_init_changes_nothing(lab):
    out = _unchanged(lab, "node1", "kubeadm init --config /root/init.yaml --dry-run")
    for words in ("/etc/kubernetes/pki/ca.crt", "lab.example", "--cluster-signing-duration 30s", "podSubnet: 10.200.0.0/16"):
        check(words in out, f"'{words}' is not told:\n{out}")


@needed
def init_from_a_file(lab):
    out = _sh(lab, "node1", "kubeadm init --config /root/init.yaml")
    found = re.search(r"--token abcdef.0123456789abcdef \\\n\s*--discovery-token-ca-cert-hash (sha256:[0-9a-f]{64})", out)
    check(found and "addon: proxy" not in out, out)
    _put(lab, "node2", "/root/join.yaml", JOIN.replace("PIN", found.group(1)))
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
    check("kubernetes-admin@classroom" in _sh(lab, "node1", f"{kubectl} config current-context"), "the cluster's name")
    config = _sh(lab, "node1", f"{kubectl} -n kube-system get cm kubeadm-config -o yaml")
    check("serviceSubnet: 10.100.0.0/16" in config and "clusterName: classroom" in config, config)
    check("lab.example" in _sh(lab, "node1", "openssl x509 -in /etc/kubernetes/pki/apiserver.crt -noout -ext subjectAltName"), "SAN")
    check("of the file" in _sh(lab, "node1", "kubeadm token list"), "the token's description")
    check(_sh(lab, "node1", f"{kubectl} get svc kubernetes -o jsonpath={{.spec.clusterIP}}") == "10.100.0.1", "service address")
    wait_for("node1 Ready", lambda: " Ready " in _sh(lab, "node1", f"{kubectl} get node node1 --no-headers"))
    check(_sh(lab, "node1", f"{kubectl} get node node1 -o jsonpath={{.spec.taints}}") == "", "node1 has taints")


def the_kubelets_configuration_reaches_the_node(lab):
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
    check(_sh(lab, "node1", f"{kubectl} get node node1 -o jsonpath={{.status.allocatable.pods}}") == "30", "maxPods")
    config = _sh(lab, "node1", "cat /var/lib/kubelet/config.yaml")
    check("podPidsLimit: 300" in config and "clusterDomain: cluster.local" in config, config)
    check("podPidsLimit: 300" in _sh(lab, "node1", f"{kubectl} -n kube-system get cm kubelet-config -o yaml"), "ConfigMap kubelet-config")
    _sh(lab, "node1", f"{kubectl} run limited --image=busybox --restart=Never --command -- sleep 1000")
    limits = "cat /sys/fs/cgroup/pids/kubepods/besteffort/pod*/pids.max /sys/fs/cgroup/kubepods/besteffort/pod*/pids.max 2>/dev/null"
    wait_for("a pod's limit of processes", lambda: "300" in _sh(lab, "node1", limits, check=False).stdout.split())
    _sh(lab, "node1", f"{kubectl} delete pod limited --force --grace-period=0 2>/dev/null")
    # A driver that is not the runtime's would leave every pod without a sandbox.
    _sh(lab, "node1", "sed 's/maxPods: 30/cgroupDriver: systemd/' /root/init.yaml >/root/driver.yaml")
    _refused(lab, "node1", "kubeadm init phase kubelet-start --config /root/driver.yaml", 1, "cgroupDriver is \"systemd\"", "the container runtime's is \"cgroupfs\"")


def a_dry_run_of_join_changes_nothing(lab):
    out = _unchanged(lab, "node2", "kubeadm join --config /root/join.yaml --dry-run")
    check("/etc/kubernetes/bootstrap-kubelet.conf" in out, out)


@needed
def join_from_a_file_phase_by_phase(lab):
    for phase in ("preflight", "discovery", "images", "kubelet-start", "kubelet-wait-bootstrap"):
        done = _sh(lab, "node2", f"kubeadm join phase {phase} --config /root/join.yaml", check=False)
        check(done.returncode == 0, f"{phase}: {done.stdout}{done.stderr}")
        check("node-labels has no effect" in done.stderr, done.stderr)
    node = json.loads(_sh(lab, "node1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get node node2 -o json"))["status"]
    check(node["allocatable"]["pods"] == "20" and node["allocatable"]["cpu"] != node["capacity"]["cpu"], node["allocatable"])
    check("podPidsLimit: 300" in _sh(lab, "node2", "cat /var/lib/kubelet/config.yaml"), "what the cluster says is not on node2")
    lab.first_serial = _serial(lab, "node2", "cat /var/lib/kubelet/pki/kubelet-client-current.pem")


def certificates_are_listed_and_renewed(lab):
    out = _sh(lab, "node1", "kubeadm certs check-expiration")
    for line in (r"CERTIFICATE +EXPIRES +RESIDUAL TIME +CERTIFICATE AUTHORITY +EXTERNALLY MANAGED",
                 r"admin.conf +\w{3} \d\d, \d{4} \d\d:\d\d UTC +36\dd +ca +no", r"ca +\w{3} \d\d, \d{4} \d\d:\d\d UTC +9y +no"):
        check(re.search(line, out), f"no line like '{line}':\n{out}")
    _sh(lab, "node1", "chown 7:8 /etc/kubernetes/pki/apiserver.key; chmod 640 /etc/kubernetes/pki/apiserver.key")
    before = _serial(lab, "node1", "cat /etc/kubernetes/pki/apiserver.crt")
    out = _sh(lab, "node1", "kubeadm certs renew all")
    check("certificate for serving the Kubernetes API renewed" in out and "uses them" in out, out)
    now = _serial(lab, "node1", "cat /etc/kubernetes/pki/apiserver.crt")
    check(now != before, "the certificate is the old one")
    check(_sh(lab, "node1", "stat -c '%u:%g %a' /etc/kubernetes/pki/apiserver.key").strip() == "7:8 640", "owner and mode")
    served = _serial(lab, "node1", "echo | openssl s_client -connect $(hostname -i):6443 2>/dev/null")
    check(served == now, "the API server serves the old certificate")
    check("node1" in _sh(lab, "node1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes"), "admin.conf does not work")
    one = json.loads(_sh(lab, "node1", "kubeadm certs check-expiration -o json"))
    check(one["kind"] == "CertificateExpirationInfo" and len(one["certificates"]) == 7, one)
    _refused(lab, "node1", "kubeadm certs renew nothing", 1, "there is no certificate \"nothing\"", "apiserver-kubelet-client")
    check(re.fullmatch(r"[0-9a-f]{64}", _sh(lab, "node1", "kubeadm certs certificate-key").strip()), "certificate-key")


def a_dry_run_of_reset_changes_nothing(lab):
    _unchanged(lab, "node1", "kubeadm reset --dry-run --force")


def the_node_renews_its_certificate(lab):
    wait_for("another client certificate on node2",
             lambda: _serial(lab, "node2", "cat /var/lib/kubelet/pki/kubelet-client-current.pem") != lab.first_serial)
    wait_for("node2 Ready", lambda: " Ready " in _sh(lab, "node1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get node node2 --no-headers"))


def init_phase_by_phase(lab):
    _sh(lab, "node1", "for p in stop-services remove-pods unmount network files; do kubeadm reset phase cleanup-node $p --force || exit 1; done")
    _sh(lab, "node1", "sed -i '/cluster-signing-duration/,+1d; /extraArgs/d; /controllerManager/d' /root/init.yaml")
    for phase in ("preflight", "certs ca", "certs all", "kubeconfig all", "control-plane", "images", "kubelet-start", "wait-control-plane",
                  "upload-config all", "mark-control-plane", "bootstrap-token", "addon overlay-net", "addon coredns", "addon all",
                  "show-join-command"):
        done = _sh(lab, "node1", f"kubeadm init phase {phase} --config /root/init.yaml", check=False)
        check(done.returncode == 0, f"init phase {phase}: {done.stdout}{done.stderr}")
    wait_for("node1 Ready", lambda: " Ready " in _sh(lab, "node1", "kubectl --kubeconfig /etc/kubernetes/admin.conf get node node1 --no-headers"))


if __name__ == "__main__":
    main([empty_nodes, files_are_printed_judged_and_migrated, flags_and_files_do_not_mix, preflight_names_what_overlaps,
          a_dry_run_of_init_changes_nothing, init_from_a_file, the_kubelets_configuration_reaches_the_node, a_dry_run_of_join_changes_nothing, join_from_a_file_phase_by_phase,
          certificates_are_listed_and_renewed, a_dry_run_of_reset_changes_nothing, the_node_renews_its_certificate,
          init_phase_by_phase], Lab(2))
