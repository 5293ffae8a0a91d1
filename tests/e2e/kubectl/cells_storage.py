"""Claims and the directories behind them; custom resources as kubectl explains and checks them."""
from harness import cell, check

POD = """{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {terminationGracePeriodSeconds: 1, restartPolicy: Never,
  containers: [{name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "%s"],
    volumeMounts: [{name: data, mountPath: /data}]}],
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]}}"""


@cell("get pvc, pv: a claim of the default class")
def claims(k):
    k.ok("apply", "-f", "-", has="^persistentvolumeclaim/data created$", input="""{apiVersion: v1, kind: PersistentVolumeClaim,
  metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 5Mi}}}}""")
    k.ok("get", "pvc", "data", has=r"^data\s+Pending\s+standard")
    k.ok("apply", "-f", "-", input=POD % ("writer", "echo kept > /data/word"))
    k.until("Succeeded", "get", "pod", "writer", "-o", "jsonpath={.status.phase}")
    volume = k.get("pvc/data", ".spec.volumeName")
    k.ok("get", "pvc", "data", has=rf"^data\s+Bound\s+{volume}\s+5Mi\s+RWO\s+standard")
    k.ok("get", "pv", volume, has=rf"^{volume}\s+5Mi\s+RWO\s+Retain\s+Bound\s+{k.ns}/data\s+standard")
    # The next pod finds what the first has written, on the same node.
    k.ok("apply", "-f", "-", input=POD % ("reader", "cat /data/word"))
    k.until("Succeeded", "get", "pod", "reader", "-o", "jsonpath={.status.phase}")
    k.says("kept", "logs", "reader")
    check(k.get("pod/reader", ".spec.nodeName") == k.get("pod/writer", ".spec.nodeName"), "another node")
    k.ok("delete", "pod", "reader", "writer")
    k.ok("delete", "pvc", "data", has='^persistentvolumeclaim "data" deleted')
    k.until("Released", "get", "pv", volume, "-o", "jsonpath={.status.phase}")
    k.ok("delete", "pv", volume)


@cell("explain and create a custom resource", since=29)
def custom_resources(k):
    group = f"{k.ns}.example.com"
    k.ok("apply", "-f", "-", input="""{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition,
  metadata: {name: bells.%s}, spec: {group: %s, scope: Namespaced, names: {plural: bells, singular: bell, kind: Bell},
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {
    spec: {type: object, required: [tone], properties: {tone: {type: string, description: What it sounds like., pattern: "^[A-G]$"}}}}}}}]}}"""
         % (group, group))
    try:
        k.ok("wait", "--for=condition=Established", f"crd/bells.{group}")
        k.until("-required-", "explain", f"bells.{group}", "--recursive")
        k.ok("explain", "bells.spec.tone", f"--api-version={group}/v1",
             has=[r"^FIELD: tone <string>", r"What it sounds like\."])
        bell = "{apiVersion: " + group + "/v1, kind: Bell, metadata: {name: big}, spec: {%s}}"
        k.fails("unknown field .*spec.size", "apply", "-f", "-", input=bell % "tone: A, size: 3")
        k.fails("spec.tone in body should match", "apply", "-f", "-", input=bell % "tone: H")
        k.ok("apply", "-f", "-", input=bell % "tone: A", has="/big created$")
    finally:
        k.ok("delete", "crd", f"bells.{group}")
