#!/usr/bin/python3
"""Another CA for a lab that runs: both are trusted, the new one signs, the old one goes. Pods and Service traffic are not
touched, a kubeconfig of before works until the last step, a step that is killed is completed when it is run again."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, needed, run, wait_for  # noqa: E402

SERVE = "mkdir /www && echo hello >/www/index.html && exec httpd -f -p 8080 -h /www"
LABELS = {"app": "web"}
WEB = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "web"},
       "spec": {"selector": {"matchLabels": LABELS}, "template": {"metadata": {"labels": LABELS}, "spec": {
           "terminationGracePeriodSeconds": 0, "containers": [{"name": "web", "image": "busybox", "command": ["sh", "-c", SERVE]}]}}}}
SCRATCH = tempfile.mkdtemp(prefix="lab-ca-")
OLD = os.path.join(SCRATCH, "old-admin.conf")


class Traffic(threading.Thread):
    """Asks the Service without a pause, each time over a new connection."""

    def __init__(self, url):
        super().__init__(daemon=True)
        self.url, self.served, self.failures, self.stop = url, 0, [], False

    def run(self):
        while not self.stop:
            try:
                with urllib.request.urlopen(self.url, timeout=5) as answer:
                    self.served += answer.read() == b"hello\n"
            except OSError as e:
                self.failures.append(f"{time.monotonic():.1f}: {e}")
            time.sleep(0.05)


def _sh(lab, node, text, **kw):
    return lab.shell(node, "bash", "-lc", text, **kw)


def _rotate(lab, step):
    return _sh(lab, "node1", f"lab certs rotate-ca {step}")


def _old_admin(lab, *args, **kw):
    return run("kubectl", "--kubeconfig", OLD, "--request-timeout=20s", *args, **kw)


def _pods(lab):
    return sorted((p["metadata"]["name"], p["metadata"]["uid"], [c["restartCount"] for c in p["status"]["containerStatuses"]])
                  for p in lab.get("pods")["items"])


def _exec_works(lab):
    pod = next(p["metadata"]["name"] for p in lab.get("pods")["items"] if p["spec"]["nodeName"] == "node2")
    check(lab.kubectl("exec", pod, "--", "cat", "/www/index.html") == "hello\n", "exec on node2")


def _authorities(lab, node, file="/etc/kubernetes/pki/ca.crt"):
    return _sh(lab, node, f"grep -c BEGIN {file}").strip()


def _issuer_key(lab, node, source):
    return _sh(lab, node, f"{source} | openssl x509 -noout -ext authorityKeyIdentifier | tail -1").strip()


def _ca_key(lab):
    return _sh(lab, "node1", "openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -ext subjectKeyIdentifier | tail -1").strip()


def _served_by_all(lab):
    check(not lab.traffic.failures and lab.traffic.served, f"{lab.traffic.served} served, failed: {lab.traffic.failures[:5]}")
    check(_pods(lab) == lab.pods_before, f"pods changed: {lab.pods_before} {_pods(lab)}")


@needed
def a_lab_that_serves(lab):
    lab.start()
    lab.kubectl("apply", "-f", "-", stdin=json.dumps(WEB))
    lab.kubectl("create", "service", "nodeport", "web", "--tcp=8080:8080")
    wait_for("a pod on each node", lambda: len(lab.get("pods")["items"]) == 2)
    lab.kubectl("rollout", "status", "daemonset/web", "--timeout=100s")
    port = lab.get("service", "web")["spec"]["ports"][0]["nodePort"]
    url = f"http://{lab.address()}:{port}/"
    wait_for("the Service", lambda: urllib.request.urlopen(url, timeout=5).read() == b"hello\n")
    with open(OLD, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
        f.write(_sh(lab, "node1", "cat /etc/kubernetes/admin.conf"))
    lab.pods_before, lab.old_ca = _pods(lab), _ca_key(lab)
    lab.traffic = Traffic(url)
    lab.traffic.start()


def steps_out_of_order_are_refused(lab):
    for step, words in (("switch", "no new CA is prepared"), ("finish", "no rotation of the CA is under way"), ("later", "no step \"later\"")):
        done = _sh(lab, "node1", f"lab certs rotate-ca {step}", check=False)
        check(done.returncode == 1 and words in done.stderr, f"{step}: {done.stdout}{done.stderr}")
    out = _rotate(lab, "status")
    check("none is under way" in out and re.search(r"node2 +current +current", out), out)


@needed
def prepare_lets_all_trust_both(lab):
    out = _rotate(lab, "prepare")
    check("All nodes trust both CAs" in out, out)
    for node in ("node1", "node2"):
        check(_authorities(lab, node) == "2", f"{node} has {_authorities(lab, node)} CAs")
    check(_ca_key(lab) == lab.old_ca, "the old CA does not sign any more")
    bundle = lab.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"]
    check(bundle.count("BEGIN") == 2, bundle)
    check("node2" in _old_admin(lab, "get", "nodes"), "the old kubeconfig")
    check("Next: lab certs rotate-ca switch" in _rotate(lab, ""), "status")
    _exec_works(lab)
    _served_by_all(lab)


@needed
def a_switch_that_is_killed_is_completed(lab):
    child = subprocess.Popen([LAB, "shell", "-p", lab.profile, "node1", "--", "bash", "-lc", "echo $$; exec lab certs rotate-ca switch"],
                             stdout=subprocess.PIPE, text=True)
    pid = child.stdout.readline().strip()
    child.stdout.readline()  # its first word: it has begun
    time.sleep(0.15)
    _sh(lab, "node1", f"kill -9 {pid}", check=False)
    child.wait(timeout=30)
    out = _rotate(lab, "switch")
    check("All nodes have certificates of the new CA" in out, out)


def the_new_ca_signs_and_the_old_is_served(lab):
    new = _ca_key(lab)
    check(new != lab.old_ca, "it is the old CA")
    served = _issuer_key(lab, "node1", "echo | openssl s_client -connect $(hostname -i | cut -d' ' -f1):6443 2>/dev/null")
    check(served == new, f"the API server's certificate is of {served}, not {new}")
    for node in ("node1", "node2"):
        mine = _issuer_key(lab, node, "cat /var/lib/kubelet/pki/kubelet-client-current.pem")
        check(mine == new, f"{node}'s certificate is of {mine}, not {new}")
    check("node2" in _old_admin(lab, "get", "nodes"), "the old kubeconfig")
    check("kubernetes" in _old_admin(lab, "get", "services"), "the old kubeconfig, once more")
    _exec_works(lab)
    _served_by_all(lab)


@needed
def finish_takes_the_old_one_away(lab):
    out = _rotate(lab, "finish")
    check("Done." in out, out)
    for node in ("node1", "node2"):
        check(_authorities(lab, node) == "1", f"{node} has {_authorities(lab, node)} CAs")
    done = _old_admin(lab, "get", "nodes", check=False)
    check(done.returncode != 0 and "certificate" in done.stderr, f"the old kubeconfig still works: {done.stdout}{done.stderr}")
    check("none is under way" in _rotate(lab, "status"), "status")
    check(_sh(lab, "node1", "ls /etc/kubernetes/pki").count("ca-rotation") == 0, "the old key is still there")


def the_cluster_goes_on(lab):
    _exec_works(lab)
    _served_by_all(lab)
    # Daemons that start anew live on what they have on disk.
    for pid in lab.pids("node2", "/opt/lab/bin/lab agent"):
        lab.shell("node2", "kill", "-9", pid)
    wait_for("both nodes Ready", lambda: len(lab.ready_nodes()) == 2)
    lab.kubectl("run", "after", "--image=busybox", "--restart=Never", "--overrides", '{"spec":{"nodeName":"node2"}}', "--", "true")
    wait_for("a pod of afterwards", lambda: lab.get("pod", "after")["status"]["phase"] == "Succeeded")
    lab.kubectl("delete", "pod", "after", "--wait=false")
    lab.traffic.stop = True
    check(not lab.traffic.failures, f"failed: {lab.traffic.failures[:5]}")


if __name__ == "__main__":
    try:
        main([a_lab_that_serves, steps_out_of_order_are_refused, prepare_lets_all_trust_both, a_switch_that_is_killed_is_completed,
              the_new_ca_signs_and_the_old_is_served, finish_takes_the_old_one_away, the_cluster_goes_on], Lab(2))
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)
