#!/usr/bin/python3
"""Another key for service accounts, another CA of the front proxy, and certificates that renew by themselves, in a lab that
runs: pods live, their tokens are renewed in place, tokens of before hold until the last step; killed steps are completed."""
import base64
import glob
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import LAB, Lab, check, main, needed, wait_for  # noqa: E402

FAKETIME = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") or ["absent"])[0]
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
PODS = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{node}"}, "spec": {
    "nodeName": node, "terminationGracePeriodSeconds": 0,
    "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "100000"]}]}} for node in ("node1", "node2")]
ENDED = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ended"}, "spec": {
    "nodeName": "node2", "restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox", "command": ["true"]}]}}
LEGACY = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
          "metadata": {"name": "kept", "annotations": {"kubernetes.io/service-account.name": "default"}}}


def _sh(lab, node, text, **kw):
    return lab.shell(node, "bash", "-lc", text, **kw)


def _key(token):
    """The key that signed it."""
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


def _mounted(lab, node):
    return lab.kubectl("exec", f"pod-{node}", "--", "cat", TOKEN)


def _status_of(lab, token):
    """What the API says to this token: 200, or 401."""
    return _sh(lab, "node1", "curl -s -o /dev/null -w '%{http_code}' --cacert /etc/kubernetes/pki/ca.crt "
               f"-H 'Authorization: Bearer {token}' https://$(hostname -i | cut -d' ' -f1):6443/api")


def _secret(lab):
    return base64.b64decode(lab.get("secret", "kept")["data"].get("token", "")).decode()


def _restarts(lab):
    return [(p["metadata"]["uid"], p["status"]["containerStatuses"][0]["restartCount"]) for p in lab.get("pods")["items"]]


@needed
def a_lab_with_tokens(lab):
    lab.start()
    lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": PODS + [ENDED, LEGACY]}))
    lab.kubectl("wait", "--for=condition=Ready", "pod/pod-node1", "pod/pod-node2", "--timeout=100s")
    wait_for("a token in the Secret", lambda: _secret(lab))
    wait_for("a pod that has ended", lambda: lab.get("pod", "ended")["status"]["phase"] == "Succeeded")
    lab.before = {"node1": _mounted(lab, "node1"), "node2": _mounted(lab, "node2"), "secret": _secret(lab),
                  "asked": lab.kubectl("create", "token", "default").strip()}
    check(len({_key(t) for t in lab.before.values()}) == 1, str(lab.before))
    check(all(_status_of(lab, t) == "200" for t in lab.before.values()), "tokens at the beginning")
    lab.pods = _restarts(lab)


def steps_out_of_order_are_refused(lab):
    for step, words in (("switch", "no new key is prepared"), ("finish", "no rotation of the key is under way"), ("later", "no step \"later\"")):
        done = _sh(lab, "node1", f"lab certs rotate-sa-key {step}", check=False)
        check(done.returncode == 1 and words in done.stderr, f"{step}: {done.stdout}{done.stderr}")
    out = _sh(lab, "node1", "lab certs rotate-sa-key")
    check("none is under way" in out and out.count("of this key") == 2, out)
    done = _sh(lab, "node2", "lab certs rotate-sa-key", check=False)
    check(done.returncode == 1 and "on masters alone" in done.stderr, done.stderr)


@needed
def both_keys_are_accepted(lab):
    out = _sh(lab, "node1", "lab certs rotate-sa-key prepare")
    check("Next: lab certs rotate-sa-key switch" in out, out)
    check(all(_status_of(lab, t) == "200" for t in lab.before.values()), "tokens of before")
    check(len(json.loads(lab.kubectl("get", "--raw", "/openid/v1/jwks"))["keys"]) == 2, "the key set")


@needed
def a_switch_that_is_killed_is_completed(lab):
    child = subprocess.Popen([LAB, "shell", "-p", lab.profile, "node1", "--", "bash", "-lc", "echo $$; exec lab certs rotate-sa-key switch"],
                             stdout=subprocess.PIPE, text=True)
    pid = child.stdout.readline().strip()
    child.stdout.readline()  # its first word: it has begun
    time.sleep(0.03)
    _sh(lab, "node1", f"kill -9 {pid}", check=False)
    child.wait(timeout=30)
    out = _sh(lab, "node1", "lab certs rotate-sa-key switch")
    check("All pods have tokens of the new key" in out and "Secret default/kept keeps a token of the old key" in out, out)


def tokens_are_renewed_in_place(lab):
    fresh = {n: _mounted(lab, n) for n in ("node1", "node2")}
    old, new = _key(lab.before["node1"]), _key(fresh["node1"])
    check(new != old and _key(fresh["node2"]) == new, f"{old} {new}")
    check(all(_status_of(lab, t) == "200" for t in [*fresh.values(), *lab.before.values()]), "tokens of both keys")
    check(_restarts(lab) == lab.pods, "pods were restarted")
    check("Next: lab certs rotate-sa-key finish" in _sh(lab, "node1", "lab certs rotate-sa-key status"), "status")


@needed
def finish_refuses_the_old_key(lab):
    out = _sh(lab, "node1", "lab certs rotate-sa-key finish")
    check("Done." in out and "Secret default/kept gets a token" in out, out)
    check({_status_of(lab, t) for t in lab.before.values()} == {"401"}, "tokens of before still work")
    check(all(_status_of(lab, _mounted(lab, n)) == "200" for n in ("node1", "node2")), "tokens of pods")
    wait_for("the Secret's next token", lambda: _secret(lab) and _status_of(lab, _secret(lab)) == "200")
    check("sa-rotation" not in _sh(lab, "node1", "ls /etc/kubernetes/pki"), "the old key is still there")
    check("service-account-key" not in json.dumps(lab.get("configmap", "cluster-info", "-n", "kube-public")["metadata"]), "cluster-info")
    done = lab.kubectl("get", "secret", "lab-sa-rotation", "-n", "kube-system", check=False)
    check("not found" in done.stderr, "the shared secret is still there")


def the_front_proxys_ca(lab):
    before = _sh(lab, "node1", "cat /etc/kubernetes/pki/front-proxy-ca.crt; cat /etc/kubernetes/pki/ca.crt")
    out = _sh(lab, "node1", "lab certs rotate-ca all --ca front-proxy-ca")
    check("Done." in out, out)
    _sh(lab, "node1", "openssl verify -CAfile /etc/kubernetes/pki/front-proxy-ca.crt /etc/kubernetes/pki/front-proxy-client.crt")
    after = _sh(lab, "node1", "cat /etc/kubernetes/pki/front-proxy-ca.crt; cat /etc/kubernetes/pki/ca.crt")
    check(after != before and after.count("BEGIN") == 2 and after.split("-----END")[1] == before.split("-----END")[1], "which CA was replaced")
    # From here aggregated API servers take it.
    shown = lab.get("configmap", "extension-apiserver-authentication", "-n", "kube-system")["data"]["requestheader-client-ca-file"]
    check(shown == _sh(lab, "node1", "cat /etc/kubernetes/pki/front-proxy-ca.crt"), shown)
    done = _sh(lab, "node1", "lab certs rotate-ca prepare --ca etcd-ca", check=False)
    check(done.returncode == 1 and "there is no /etc/kubernetes/pki/etcd/ca.crt" in done.stderr, done.stderr)


def _age(lab, node, certificate, key, ca, ca_key):
    """Signs it anew as if that had been nine and a half years ago."""
    _sh(lab, node, f"cd /tmp && openssl x509 -x509toreq -in {certificate} -signkey {key} -copy_extensions copyall -out old.csr 2>/dev/null && "
        f"LD_PRELOAD={FAKETIME} FAKETIME=-{int(9.5 * 365)}d openssl x509 -req -in old.csr -CA {ca} -CAkey {ca_key} -copy_extensions copyall -days 3650 -out old.crt 2>/dev/null"
        f" && cat old.crt >{certificate} && rm old.csr old.crt")


def _years_left(lab, node, seen):
    return int(_sh(lab, node, f"echo $(( ($(date -d \"$({seen} | openssl x509 -noout -enddate | cut -d= -f2)\" +%s) - $(date +%s)) / 31536000 ))"))


def certificates_near_their_end_renew_by_themselves(lab):
    pki = "/etc/kubernetes/pki"
    served = "echo | openssl s_client -connect $(hostname -i | cut -d' ' -f1):%d 2>/dev/null"
    _age(lab, "node1", f"{pki}/apiserver.crt", f"{pki}/apiserver.key", f"{pki}/ca.crt", f"{pki}/ca.key")
    check(_years_left(lab, "node1", f"cat {pki}/apiserver.crt") < 1, "the API server's certificate is not old")
    kubelet = "/var/lib/kubelet/pki/kubelet"
    _age(lab, "node2", f"{kubelet}.crt", f"{kubelet}.key", f"{kubelet}.crt", f"{kubelet}.key")
    check(_years_left(lab, "node2", f"cat {kubelet}.crt") < 1, "the kubelet's certificate is not old")
    # The server looks at its start and every hour; agents every other minute, and when they are told to look.
    for pid in lab.pids("node1", "/opt/lab/bin/lab server"):
        lab.shell("node1", "kill", "-9", pid)
    wait_for("a renewed certificate of the API server", lambda: _years_left(lab, "node1", served % 6443) >= 8)
    before = lab.pids("node2", "/opt/lab/bin/lab agent")
    wait_for("the API", lambda: lab.kubectl("get", "--raw", "/readyz") == "ok")
    lab.kubectl("create", "--raw", "/api/v1/nodes/node2/proxy/lab/node", "-f", "/dev/null", check=False)
    wait_for("a renewed certificate of node2's kubelet", lambda: _years_left(lab, "node2", served % 10250) >= 8, limit=200)
    check(lab.pids("node2", "/opt/lab/bin/lab agent") == before, "the agent was restarted")
    check(_mounted(lab, "node2"), "exec afterwards")


if __name__ == "__main__":
    main([a_lab_with_tokens, steps_out_of_order_are_refused, both_keys_are_accepted, a_switch_that_is_killed_is_completed, tokens_are_renewed_in_place,
          finish_refuses_the_old_key, the_front_proxys_ca, certificates_near_their_end_renew_by_themselves], Lab(2))
