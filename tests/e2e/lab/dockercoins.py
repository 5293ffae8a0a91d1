#!/usr/bin/python3
"""The lesson of dockercoins on a three-node lab: it mines, the counts agree, rng is the bottleneck, a DaemonSet lifts it."""
import base64
import json
import os
import re
import ssl
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Failed, Lab, check, main, needed, wait_for  # noqa: E402
from websocket import WebSocket  # noqa: E402

RNG_DAEMONSET = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: rng}
spec:
  selector: {matchLabels: {app: rng}}
  template:
    metadata: {labels: {app: rng}}
    spec:
      containers:
      - {name: rng, image: "dockercoins/rng:v0.1", imagePullPolicy: IfNotPresent}
"""


@needed
def three_nodes_ready(lab):
    lab.start()
    check(len(lab.ready_nodes()) == 3, f"ready: {lab.ready_nodes()}")
    lab.start()  # again: nothing to do, nothing breaks
    check(len(lab.ready_nodes()) == 3, f"ready after a second start: {lab.ready_nodes()}")


@needed
def five_deployments_available_on_two_nodes(lab):
    lab.deploy_dockercoins()
    items = lab.get("deployments")["items"]
    check(len(items) == 5, f"{len(items)} deployments")
    check(all(d["status"].get("availableReplicas") == 1 for d in items), "not all are available")
    nodes = {p["spec"]["nodeName"] for p in lab.get("pods")["items"]}
    check(len(nodes) >= 2, f"all pods are on {nodes}")


def _worked(logs):
    return sum(int(n) for n in re.findall(r"(\d+) units of work done", logs))


def counts_agree(lab):
    """The page, redis itself and the worker's log tell the same speed."""
    lab.wait_mining()
    redis = lambda: int(lab.kubectl("exec", "deploy/redis", "--", "redis-cli", "GET", "hashes"))
    logs = lambda: _worked(lab.kubectl("logs", "deploy/worker"))
    page0, redis0, logs0, t0 = lab.hashes(), redis(), logs(), time.monotonic()
    time.sleep(20)
    page1, redis1, logs1, t1 = lab.hashes(), redis(), logs(), time.monotonic()
    page, direct, logged = (page1 - page0) / (t1 - t0), (redis1 - redis0) / (t1 - t0), (logs1 - logs0) / (t1 - t0)
    print(f"      page {page:.2f}, redis {direct:.2f}, logs {logged:.2f} hashes/s")
    check(2 <= page <= 5, f"{page:.2f} hashes/s with one worker")
    for other in (direct, logged):
        check(abs(other - page) <= 0.2 * page, f"page {page:.2f}, redis {direct:.2f}, logs {logged:.2f} hashes/s")


def ten_workers_meet_the_bottleneck(lab):
    lab.kubectl("scale", "deployment", "worker", "--replicas=10")
    lab.kubectl("rollout", "status", "deployment/worker", "--timeout=120s")
    wait_for("8 to 11 hashes/s", lambda: 8 <= lab.speed() <= 11, 90, 0)


def daemonset_of_rng_lifts_it(lab):
    lab.kubectl("apply", "-f", "-", stdin=RNG_DAEMONSET)
    wait_for("rng on three nodes", lambda: lab.get("daemonset", "rng")["status"].get("numberReady") == 3)
    wait_for("more than 20 hashes/s", lambda: lab.speed() > 20, 90, 0)


def rolling_update_and_undo_keep_mining(lab):
    before = lab.hashes()
    lab.kubectl("set", "env", "deployment/worker", "LESSON=2")
    lab.kubectl("rollout", "status", "deployment/worker", "--timeout=120s")
    during = lab.hashes()
    check(during > before, "mining stopped during the update")
    lab.kubectl("rollout", "undo", "deployment/worker")
    lab.kubectl("rollout", "status", "deployment/worker", "--timeout=120s")
    check(lab.hashes() > during, "mining stopped during the undo")
    env = lab.get("deployment", "worker")["spec"]["template"]["spec"]["containers"][0].get("env", [])
    check(not env, f"undo left {env}")


def names_resolve_and_services_answer_in_pods(lab):
    out = lab.kubectl("run", "probe", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--rm", "-i", "--quiet",
                      "--", "sh", "-c", "nslookup rng.default.svc.cluster.local && wget -qO- http://hasher/")
    check("HASHER running on" in out, out)


def logs_and_exec_over_websocket(lab):
    """As clients without kubectl ask for them: the log as binary messages, exec with a channel before each message."""
    config = json.loads(lab.kubectl("config", "view", "--raw", "-o", "json"))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
        pem.flush()
        tls.load_cert_chain(pem.name)
    host, port = re.match(r"https://(.*):(\d+)$", cluster["server"]).groups()
    pod = lab.get("pods", "-l", "app=redis")["items"][0]["metadata"]["name"]

    def messages(path, protocol):
        socket = WebSocket(host, int(port), f"/api/v1/namespaces/default/pods/{pod}/{path}", {"Sec-WebSocket-Protocol": protocol},
                           tls=tls)
        out = []
        while (message := socket.receive()) is not None:
            out.append(message)
        return out
    log = lab.kubectl("logs", pod, "--tail=3")
    check(b"".join(messages("log?tailLines=3", "binary.k8s.io")).decode() == log, "the log is another one")
    check(base64.b64decode("".join(messages("log?tailLines=1", "base64.binary.k8s.io"))).decode() == log.splitlines(True)[-1],
          "the log in base64 is another one")
    said = messages("exec?stdout=1&stderr=1&command=redis-cli&command=PING", "channel.k8s.io")
    check(b"".join(m[1:] for m in said if m[:1] == b"\x01") == b"PONG\n", f"exec said {said}")


def stop_and_start_lose_nothing(lab):
    lab.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    lab.cmd("stop")
    check({state for _, _, state in lab.nodes()} == {"Stopped"}, "not all nodes stopped")
    lab.start()
    check(lab.get("configmap", "kept")["data"] == {"a": "1"}, "the ConfigMap is lost")
    lab.wait_mining()


if __name__ == "__main__":
    main([three_nodes_ready, five_deployments_available_on_two_nodes, counts_agree, ten_workers_meet_the_bottleneck,
          daemonset_of_rng_lifts_it, rolling_update_and_undo_keep_mining, names_resolve_and_services_answer_in_pods,
          logs_and_exec_over_websocket, stop_and_start_lose_nothing], Lab(3))
