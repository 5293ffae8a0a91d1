#!/usr/bin/python3
"""The classic walk-through, typed in the nodes' shells as people know it: kubeadm init, the kubeconfig lines, the overlay's
manifest, kubeadm join, kubectl get nodes; tokens; what goes wrong and what is said then; reset."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, run, LAB, wait_for  # noqa: E402

JOIN = {}


def _sh(lab, node, text, **kw):
    return lab.shell(node, "bash", "-lc", text, **kw)


@needed
def empty_nodes(lab):
    lab.start("--no-init")


@needed
def kubeadm_init(lab):
    out = _sh(lab, "node1", "kubeadm init --apiserver-advertise-address $(hostname -i)")
    check("Your Kubernetes control-plane has initialized successfully!" in out, out)
    found = re.search(r"kubeadm join (\S+) --token (\S+) \\\n\s*--discovery-token-ca-cert-hash (sha256:[0-9a-f]{64})", out)
    check(found, out)
    JOIN["endpoint"], JOIN["token"], JOIN["pin"] = found.groups()


@needed
def the_three_kubeconfig_lines(lab):
    _sh(lab, "node1", "mkdir -p $HOME/.kube && cp /etc/kubernetes/admin.conf $HOME/.kube/config && chown $(id -u):$(id -g) $HOME/.kube/config")
    out = _sh(lab, "node1", "kubectl get nodes")
    check("node1" in out and "control-plane" in out, out)


def overlay_manifest_applies(lab):
    out = _sh(lab, "node1", "kubectl apply -f /etc/kubernetes/addons/overlay-net.yaml")
    for thing in ("serviceaccount", "clusterrole", "clusterrolebinding", "role", "rolebinding", "secret", "daemonset"):
        check(thing in out, out)


def kubeadm_join(lab):
    out = _sh(lab, "node2", f"kubeadm join {JOIN['endpoint']} --token {JOIN['token']} --discovery-token-ca-cert-hash {JOIN['pin']}")
    check("This node has joined the cluster" in out, out)

    def both_ready():
        rows = _sh(lab, "node1", "kubectl get nodes --no-headers").splitlines()
        return len(rows) == 2 and all(" Ready " in r for r in rows)
    wait_for("both nodes Ready", both_ready)


def join_with_flags_before_the_address(lab):
    host = JOIN["endpoint"].split(":")[0]
    command = _sh(lab, "node1", "kubeadm token create --print-join-command").strip()
    token = re.search(r"--token (\S+)", command).group(1)
    _sh(lab, "node3", f"kubeadm join --token {token} --discovery-token-ca-cert-hash {JOIN['pin']} {host}")
    wait_for("three nodes", lambda: len(_sh(lab, "node1", "kubectl get nodes --no-headers").splitlines()) == 3)


def joining_again_is_harmless(lab):
    _sh(lab, "node2", f"kubeadm join {JOIN['endpoint']} --token {JOIN['token']} --discovery-token-ca-cert-hash {JOIN['pin']}")


def _refused(lab, node, command, *words):
    done = _sh(lab, node, command, check=False)
    said = done.stdout + done.stderr
    check(done.returncode != 0, f"'{command}' was accepted:\n{said}")
    for word in words:
        check(word in said, f"'{command}' does not say '{word}':\n{said}")


def bad_joins_say_why(lab):
    e, t, p = JOIN["endpoint"], JOIN["token"], JOIN["pin"]
    _refused(lab, "node3", f"kubeadm join {e} --token aaaaaa.bbbbbbbbbbbbbbbb --discovery-token-ca-cert-hash {p}", "does not know the token", "lab token create")
    _refused(lab, "node3", f"kubeadm join {e} --token {t[:7]}bbbbbbbbbbbbbbbb --discovery-token-ca-cert-hash {p}", "secret of the token")
    _refused(lab, "node3", f"kubeadm join {e} --token {t} --discovery-token-ca-cert-hash sha256:{'0' * 64}", "CA is not the expected one")
    _refused(lab, "node3", f"kubeadm join {e} --token {t}", "CA pin is missing")
    _refused(lab, "node3", f"kubeadm join {e} --token nonsense --discovery-token-ca-cert-hash {p}", "is not of the form")
    nobody = e.rsplit(".", 1)[0] + ".253:6443"  # on the lab's own network
    _refused(lab, "node3", f"kubeadm join {nobody} --token {t} --discovery-token-ca-cert-hash {p}", nobody.split(":")[0])
    _refused(lab, "node1", f"kubeadm join {e} --token {t} --discovery-token-ca-cert-hash {p}", "master itself")
    _refused(lab, "node1", "kubeadm init --apiserver-advertise-address 127.0.0.1", "loopback")
    _refused(lab, "node1", "kubeadm init --pod-network-cidr 10.96.0.0/16", "overlap")
    check(_sh(lab, "node3", "kubeadm init --no-such-flag", check=False).returncode == 2, "a wrong flag must give exit code 2")


def an_expired_token_is_told(lab):
    token = _sh(lab, "node1", "lab token create --ttl 2s").strip()
    wait_for("the token is gone", lambda: token[:6] not in _sh(lab, "node1", "kubectl get secrets -n kube-system -o name"))
    _refused(lab, "node3", f"kubeadm join {JOIN['endpoint']} --token {token} --discovery-token-ca-cert-hash {JOIN['pin']}", f'the token "{token[:6]}" expired ', "s ago (20", "lab token create --print-join-command")


def tokens(lab):
    token = _sh(lab, "node1", "lab token create --ttl 1h --description test").strip()
    check(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token), token)
    listed = _sh(lab, "node1", "lab token list")
    check(token in listed and "59m" in listed, listed)
    _sh(lab, "node1", f"lab token delete {token[:6]}")
    check(token not in _sh(lab, "node1", "lab token list"), "the token is still listed")
    _refused(lab, "node1", "lab token delete zzzzzz", "no bootstrap token")
    check(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", _sh(lab, "node1", "lab token generate").strip()), "generate")


def port_in_use_is_named(lab):
    _sh(lab, "node3", "lab reset --force")
    _sh(lab, "node3", "nohup python3 -m http.server 6443 >/dev/null 2>&1 & echo $! >/tmp/holder; sleep 1")
    done = _sh(lab, "node3", "kubeadm init --apiserver-advertise-address $(hostname -i)", check=False)
    said = done.stdout + done.stderr
    _sh(lab, "node3", "kill $(cat /tmp/holder)")
    check(done.returncode == 3, f"exit code {done.returncode}\n{said}")
    check("Port-6443" in said and "python3" in said, said)
    check(not os.path.exists(f"/var/lib/lab/profiles/{lab.profile}/nodes/node3/etc/kubernetes/pki/ca.crt"), "something was written")


def no_space_is_named(lab):
    _sh(lab, "node3", "mkdir -p /var/lib/lab && mount -t tmpfs -o size=10m tmpfs /var/lib/lab")
    done = _sh(lab, "node3", "kubeadm init --apiserver-advertise-address $(hostname -i)", check=False)
    _sh(lab, "node3", "umount /var/lib/lab")
    check(done.returncode == 3 and "DiskSpace" in done.stderr and "free" in done.stderr, done.stderr)


def reset_leaves_nothing(lab):
    _sh(lab, "node2", "lab reset --force")
    left = _sh(lab, "node2", "ls /etc/kubernetes /var/lib/kubelet /etc/cni/net.d 2>/dev/null | grep -v ':$' | grep . || true")
    check(left.strip() == "", f"files: {left}")
    links = _sh(lab, "node2", "ip -br link | awk '{print $1}'").split()
    check(all(l == "lo" or l.startswith("eth0") for l in links), f"links: {links}")
    check(_sh(lab, "node2", "nft list ruleset").strip() == "", "nft rules are left")
    _sh(lab, "node2", "lab reset --force")  # again: nothing to do


def rejoin_after_reset(lab):
    _sh(lab, "node2", f"kubeadm join {JOIN['endpoint']} --token {JOIN['token']} --discovery-token-ca-cert-hash {JOIN['pin']}")
    wait_for("node2 Ready again", lambda: " Ready " in _sh(lab, "node1", "kubectl get node node2 --no-headers"))


def init_again_keeps_the_cluster(lab):
    ca = _sh(lab, "node1", "cat /etc/kubernetes/pki/ca.crt")
    _sh(lab, "node1", "kubeadm init --apiserver-advertise-address $(hostname -i)")
    check(_sh(lab, "node1", "cat /etc/kubernetes/pki/ca.crt") == ca, "the CA was replaced")
    check("node2" in _sh(lab, "node1", "kubectl get nodes"), "node2 is forgotten")


def credentials_of_another_cluster_are_told(lab):
    """node3 is a cluster of its own for a moment; what it gave out opens nothing on node1, and node1's secrets nothing there."""
    said = _sh(lab, "node3", "kubeadm init --apiserver-advertise-address $(hostname -i)")
    token, pin = re.search(r"--token (\S+) \\\n\s*--discovery-token-ca-cert-hash (sha256:[0-9a-f]{64})", said).groups()
    server = JOIN["endpoint"]
    # The other cluster's administrator, pointed at this cluster: kubectl refuses the server, and the server refuses the certificate.
    _sh(lab, "node3", f"sed 's#server: .*#server: https://{server}#' /etc/kubernetes/admin.conf >/root/wrong.conf")
    _refused(lab, "node3", "kubectl --kubeconfig /root/wrong.conf get nodes", "certificate signed by unknown authority")
    _sh(lab, "node3", "sed -i 's#certificate-authority-data: .*#insecure-skip-tls-verify: true#' /root/wrong.conf")
    _refused(lab, "node3", "kubectl --kubeconfig /root/wrong.conf get nodes", "provide credentials")
    _sh(lab, "node3", "lab reset --force")
    requests = _sh(lab, "node1", "kubectl get csr -o name")
    _refused(lab, "node3", f"kubeadm join {server} --token {token} --discovery-token-ca-cert-hash {JOIN['pin']}", "does not know the token")
    _refused(lab, "node3", f"kubeadm join {server} --token {JOIN['token']} --discovery-token-ca-cert-hash {pin}", "CA is not the expected one")
    check(not os.path.exists(f"/var/lib/lab/profiles/{lab.profile}/nodes/node3/etc/kubernetes/pki/ca.crt"), "something was written")
    check(_sh(lab, "node1", "kubectl get csr -o name") == requests, "a certificate was asked for")


BRIDGE = {"cniVersion": "1.0.0", "name": "bridge", "plugins": [
    {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}

WEB = """
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: web}
  spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: 8080, nodePort: 30080}]}
- apiVersion: v1
  kind: Pod
  metadata: {name: web, labels: {app: web}}
  spec:
    terminationGracePeriodSeconds: 0
    containers:
    - {name: main, image: busybox, command: [sh, -c, "echo served >/tmp/word; exec httpd -f -p 8080 -h /tmp"],
       readinessProbe: {httpGet: {path: /word, port: 8080}, periodSeconds: 1}}
- apiVersion: v1
  kind: Pod
  metadata: {name: client}
  spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: busybox, command: [sleep, "3600"]}]}
"""


def another_network_plugin_in_place_of_ours(lab):
    """containernetworking's bridge and host-local: what an administrator puts there instead of overlay-net."""
    kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
    _sh(lab, "node3", "mkdir -p /opt/cni/bin /etc/cni/net.d && cp /usr/lib/cni/bridge /usr/lib/cni/host-local /opt/cni/bin/")
    _sh(lab, "node3", "cat >/etc/cni/net.d/10-bridge.conflist", stdin=json.dumps(BRIDGE))
    _sh(lab, "node3", "kubeadm init --apiserver-advertise-address $(hostname -i) --skip-phases addon/overlay-net --no-taint")
    wait_for("node3 Ready", lambda: " Ready " in _sh(lab, "node3", f"{kubectl} get nodes --no-headers"))
    check(not lab.pids("node3", "/opt/lab/bin/lab overlay"), "overlay-net runs though it was left out")
    _sh(lab, "node3", f"{kubectl} apply -f -", stdin=WEB)
    _sh(lab, "node3", f"{kubectl} wait --for=condition=Ready pod/web pod/client --timeout=120s")
    address = _sh(lab, "node3", f"{kubectl} get pod web -o jsonpath={{.status.podIP}}")
    check(address.startswith("10.244.0."), address)
    service = _sh(lab, "node3", f"{kubectl} get service web -o jsonpath={{.spec.clusterIP}}")
    # A pod, a service, and a pod through its own service.
    for pod, at in (("client", f"{address}:8080"), ("client", service), ("web", service)):
        out = wait_for(f"an answer of {at}", lambda: _sh(lab, "node3", f"{kubectl} exec {pod} -- timeout 5 wget -qO- http://{at}/word"))
        check(out == "served\n", f"{at}: {out}")
    out = _sh(lab, "node3", f"{kubectl} exec client -- nslookup web.default.svc.cluster.local")
    check(service in out, out)
    check(_sh(lab, "node1", "curl -s -m 5 http://$(getent hosts node3 | awk '{print $1}'):30080/word") == "served\n", "node port")
    _sh(lab, "node3", f"{kubectl} delete pod web client")
    _sh(lab, "node3", "lab reset --force; rm -f /etc/cni/net.d/10-bridge.conflist")


if __name__ == "__main__":
    main([empty_nodes, kubeadm_init, the_three_kubeconfig_lines, overlay_manifest_applies, kubeadm_join,
          join_with_flags_before_the_address, joining_again_is_harmless, bad_joins_say_why, an_expired_token_is_told, tokens, reset_leaves_nothing,
          rejoin_after_reset, init_again_keeps_the_cluster, port_in_use_is_named, no_space_is_named,
          credentials_of_another_cluster_are_told, another_network_plugin_in_place_of_ours], Lab(3))
