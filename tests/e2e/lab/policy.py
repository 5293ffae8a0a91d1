#!/usr/bin/python3
"""NetworkPolicies on a real lab, as a class would apply them: denied by default, allowed one by one, told in the log and
explained. The steps run in the lab of tools.py; by themselves they start one of their own."""
import json
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, wait_for  # noqa: E402

SERVE = "mkdir /www && echo hello >/www/index.html && exec httpd -f -p 8080 -h /www"
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: prod}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""
ALLOW = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: allow-web, namespace: prod}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from:
    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: default}}
      podSelector: {matchLabels: {app: web}}
    ports: [{port: http}]
"""


def _pod(lab, ns, name, node, command, **container):
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": ns, "labels": {"app": name}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0,
                 "containers": [{"name": "c", "image": "busybox", "command": ["sh", "-c", command], **container}]}}))


def _fetch(lab, pod, target):
    """The page, "blocked" when nothing comes back, or what else is said. (Debian's static wget cannot look names up.)"""
    ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 " + target.replace(":", " ") + " | tail -n 1"
    done = lab.kubectl("exec", pod, "--", "sh", "-c", ask, check=False)
    return done.stdout.strip() or ("blocked" if "timed out" in done.stderr else done.stderr)


def _tables(lab):
    return [lab.shell(node, "nft", "list", "tables") for node in ("node1", "node2")]


def _explained(lab, source, target):
    return lab.cmd("net policy explain", source, target, check=False)


@needed
def pods_reach_one_another_without_policies(lab):
    check(all("lab-policy" not in t for t in _tables(lab)), "a table without policies")
    lab.kubectl("create", "namespace", "prod")
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    _pod(lab, "prod", "db", "node2", SERVE, ports=[{"name": "http", "containerPort": 8080}], readinessProbe=probe)
    _pod(lab, "default", "web", "node1", "sleep 3600")
    _pod(lab, "default", "other", "node2", "sleep 3600")
    lab.kubectl("expose", "pod", "db", "-n", "prod", "--port=80", "--target-port=http")
    lab.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/other", "--timeout=120s")
    lab.kubectl("wait", "--for=condition=Ready", "-n", "prod", "pod/db", "--timeout=120s")
    lab.db = lab.get("pod", "db", "-n", "prod")["status"]["podIP"]
    lab.service = lab.get("service", "db", "-n", "prod")["spec"]["clusterIP"] + ":80"
    for pod in ("web", "other"):
        wait_for(f"{pod} reaches db", lambda: _fetch(lab, pod, f"{lab.db}:8080") == "hello")
        wait_for(f"{pod} reaches the service", lambda: _fetch(lab, pod, lab.service) == "hello")
    out = _explained(lab, "web", "prod/db:http")
    check(out.returncode == 0 and "no NetworkPolicy selects it for ingress" in out.stdout, out.stdout + out.stderr)


def denied_by_default(lab):
    lab.kubectl("apply", "-f", "-", stdin=DENY)
    for pod in ("web", "other"):
        wait_for(f"{pod} is kept out", lambda: _fetch(lab, pod, f"{lab.db}:8080") == "blocked")
        check(_fetch(lab, pod, lab.service) == "blocked", f"{pod} gets through the service")
    out = _explained(lab, "web", "prod/db:8080")
    check(out.returncode == 1 and "Result: DENIED by ingress rules" in out.stdout and
          "no ingress rule of NetworkPolicy prod/deny allows it" in out.stdout, out.stdout + out.stderr)
    wrong = _explained(lab, "nobody", "prod/db:8080")
    check(wrong.returncode == 1 and "there is no pod default/nobody" in wrong.stderr, wrong.stderr)


def the_log_names_pods_namespaces_and_port(lab):
    line = (rf"policy: blocked tcp default/web \([0-9.]+\) -> prod/db:8080 \({re.escape(lab.db)}\): "
            r"no ingress rule of NetworkPolicy prod/deny allows it")
    wait_for("the line", lambda: re.search(line, lab.cmd("logs", "--node", "node2", "--tail", "0", "lab-overlay")))


def one_is_let_in(lab):
    lab.kubectl("apply", "-f", "-", stdin=ALLOW)
    wait_for("web gets in", lambda: _fetch(lab, "web", f"{lab.db}:8080") == "hello")
    check(_fetch(lab, "web", lab.service) == "hello", "web does not get through the service")
    check(_fetch(lab, "other", f"{lab.db}:8080") == "blocked", "other gets in too")
    out = _explained(lab, "web", "prod/db:http")
    check(out.returncode == 0 and "ingress rule 1 of NetworkPolicy prod/allow-web allows it" in out.stdout, out.stdout)
    out = _explained(lab, "other", "prod/db:http")
    check(out.returncode == 1 and "the source is not among them" in out.stdout, out.stdout)
    for service in ("svc/prod/db:80", lab.service):
        out = _explained(lab, "web", service)
        check(out.returncode == 0 and "service prod/db: policies judge" in out.stdout and f"prod/db:8080 ({lab.db})" in out.stdout, out.stdout)


def the_kubelet_still_probes(lab):
    pod = lab.get("pod", "db", "-n", "prod")
    ready = {c["type"]: c["status"] for c in pod["status"]["conditions"]}["Ready"]
    check(ready == "True" and pod["status"]["containerStatuses"][0]["restartCount"] == 0, json.dumps(pod["status"]))


def a_new_pod_is_isolated_from_its_first_moment(lab):
    _pod(lab, "prod", "late", "node2", SERVE)
    ip = wait_for("its address", lambda: lab.get("pod", "late", "-n", "prod")["status"].get("podIP"))
    for _ in range(2):
        check(_fetch(lab, "other", f"{ip}:8080") == "blocked", "it is reached")


def a_killed_overlay_leaves_the_rules(lab):
    find = "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep -q '^[^ ]*lab overlay ' && echo ${p#/proc/}; done; true"
    lab.shell("node2", "kill", "-9", lab.shell("node2", "sh", "-c", find).split()[0])
    check(_fetch(lab, "other", f"{lab.db}:8080") == "blocked" and _fetch(lab, "web", f"{lab.db}:8080") == "hello", "the rules went")
    wait_for("the next overlay", lambda: lab.shell("node2", "sh", "-c", "grep -c 'network policies programmed' /var/log/lab/lab-overlay.log").strip() == "2")
    check(_fetch(lab, "other", f"{lab.db}:8080") == "blocked" and _fetch(lab, "web", f"{lab.db}:8080") == "hello", "the rules differ")


def without_policies_nothing_is_left(lab):
    lab.kubectl("delete", "networkpolicy", "--all", "-n", "prod")
    wait_for("other gets in", lambda: _fetch(lab, "other", f"{lab.db}:8080") == "hello")
    wait_for("no table is left", lambda: all("lab-policy" not in t for t in _tables(lab)))
    lab.kubectl("delete", "namespace", "prod", "--wait=false")
    lab.kubectl("delete", "pod", "web", "other", "--wait=false")


STEPS = [pods_reach_one_another_without_policies, denied_by_default, the_log_names_pods_namespaces_and_port, one_is_let_in,
         the_kubelet_still_probes, a_new_pod_is_isolated_from_its_first_moment, a_killed_overlay_leaves_the_rules,
         without_policies_nothing_is_left]

if __name__ == "__main__":
    @needed
    def a_lab(lab):
        lab.start()
    main([a_lab] + STEPS, Lab(2))
