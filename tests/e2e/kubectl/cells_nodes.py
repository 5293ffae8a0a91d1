"""What changes nodes. These rows run while no other kubectl does anything."""
import re

from harness import cell, check

SPREAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: spread}
spec:
  replicas: 2
  selector: {matchLabels: {app: spread}}
  template:
    metadata: {labels: {app: spread}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: spread}}}
      containers: [{name: main, image: "busybox:latest", imagePullPolicy: IfNotPresent, command: [sleep, "100000"]}]
"""
BUDGET = "{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: spread}, spec: {minAvailable: 2, selector: {matchLabels: {app: spread}}}}"
DAEMON = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: resident}
spec:
  selector: {matchLabels: {app: resident}}
  template:
    metadata: {labels: {app: resident}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "busybox:latest", imagePullPolicy: IfNotPresent, command: [sleep, "100000"]}]
"""


@cell("taint", alone=True)
def taint(k):
    ns = k.ns = f"nodes-1-{k.minor}"
    k.ok("create", "ns", ns)
    k.ok("config", "set-context", "--current", f"--namespace={ns}")
    k.kept["node"] = node = k.ok("get", "nodes", "-o", "jsonpath={.items[1].metadata.name}")
    k.says(f"node/{node} tainted", "taint", "nodes", node, "colour=red:NoSchedule")
    k.says("colour=red:NoSchedule", "get", "node", node, "-o",
           "jsonpath={.spec.taints[0].key}={.spec.taints[0].value}:{.spec.taints[0].effect}")
    k.fails("already has colour taint", "taint", "nodes", node, "colour=blue:NoSchedule")
    k.says(f"node/{node} modified", "taint", "nodes", node, "colour=blue:NoSchedule", "--overwrite")
    k.ok("run", "picky", "--image=busybox", "--image-pull-policy=IfNotPresent", "--dry-run=client", "-o", "name")
    k.apply(f"{{apiVersion: v1, kind: Pod, metadata: {{name: picky}}, spec: {{nodeSelector: {{kubernetes.io/hostname: {node}}}, terminationGracePeriodSeconds: 1, "
            "containers: [{name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, '100000']}]}}")
    k.until("untolerated taint", "describe", "pod", "picky")
    k.says(f"node/{node} untainted", "taint", "nodes", node, "colour-")
    k.ok("wait", "--for=condition=Ready", "pod/picky", "--timeout=80s")
    k.fails('taint "colour" not found', "taint", "nodes", node, "colour-")


@cell("cordon, uncordon", alone=True)
def cordon(k):
    node = k.kept["node"]
    k.says(f"node/{node} cordoned", "cordon", node)
    k.says(f"node/{node} already cordoned", "cordon", node)
    check(k.table("get", "node", node).rows[0]["STATUS"] == "Ready,SchedulingDisabled", "status of a cordoned node")
    k.says(f"node/{node} uncordoned", "uncordon", node)
    check(k.table("get", "node", node).rows[0]["STATUS"] == "Ready", "status of an uncordoned node")


@cell("drain", alone=True)
def drain(k):
    try:
        drain_node(k, k.kept["node"])
    finally:
        k.run("uncordon", k.kept["node"])   # the next kubectl needs the node
        k.run("delete", "ns", k.ns, "--wait=false")


def drain_node(k, node):
    k.apply(SPREAD)
    k.apply(DAEMON)
    k.ok("rollout", "status", "deploy/spread", "--timeout=80s")
    k.ok("rollout", "status", "ds/resident", "--timeout=80s")
    k.until(node, "get", "pods", "-l", "app=spread", "-o", "wide")
    # What stands in the way is named, and the node is cordoned all the same.
    r = k.run("drain", node)
    check(r.code == 1 and "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)" in r.err, f"{r}")
    check(re.search(f"(declare no controller|not managed by .*StatefulSet) \\(use --force to override\\): {k.ns}/picky", r.err), f"{r}")
    check(k.table("get", "node", node).rows[0]["STATUS"] == "Ready,SchedulingDisabled", "drain cordons first")
    k.apply(BUDGET)
    k.until(r"^spread\s+2\s+N/A\s+0\s", "get", "pdb", "spread")
    r = k.run("drain", node, "--ignore-daemonsets", "--force", "--timeout=3s")
    check(r.code == 1 and "Cannot evict pod as it would violate the pod's disruption budget" in r.err, f"{r}")
    k.ok("delete", "pdb", "spread")
    k.ok("drain", node, "--ignore-daemonsets", "--force", "--timeout=60s", has=[rf"^node/{node} (drained|evicted)$"])
    left = k.ok("get", "pods", "--field-selector", f"spec.nodeName={node}", "-o", "name")
    check("picky" not in left and "spread" not in left and "resident" in left, left)
    k.ok("rollout", "status", "deploy/spread", "--timeout=80s")
