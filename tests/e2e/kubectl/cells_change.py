"""Changing: apply in its forms, diff, patch, replace, edit, label, annotate, set, scale."""
import json

from harness import cell, check

BOX = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: box
  labels: {part: box%s}
data:
  a: "1"
%s
"""


@cell("apply: change, no change, removed field")
def apply_change(k):
    k.ok("apply", "-f", "-", input=BOX % (", extra: yes-it-is", '  b: "2"'), has="^configmap/box created$")
    k.ok("apply", "-f", "-", input=BOX % (", extra: yes-it-is", '  b: "2"'), has="^configmap/box unchanged$")
    k.ok("annotate", "cm", "box", "by-hand=kept")
    k.ok("apply", "-f", "-", input=BOX % ("", '  c: "3"'), has="^configmap/box configured$")
    box = json.loads(k.ok("get", "cm", "box", "-o", "json"))
    check(box["data"] == {"a": "1", "c": "3"} and box["metadata"]["labels"] == {"part": "box"}, f"{box}")
    check(box["metadata"]["annotations"]["by-hand"] == "kept", f"{box}")
    version = box["metadata"]["resourceVersion"]
    k.ok("apply", "-f", "-", input=BOX % ("", '  c: "3"'), has="^configmap/box unchanged$")
    k.says(version, "get", "cm", "box", "-o", "jsonpath={.metadata.resourceVersion}")


@cell("apply: lists merge by key")
def apply_lists(k):
    web = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: pair}, spec: {replicas: 0, selector: {matchLabels: {app: pair}}, " \
          "template: {metadata: {labels: {app: pair}}, spec: {containers: [%s]}}}}"
    one, two = "{name: one, image: busybox, env: [{name: A, value: '1'}, {name: B, value: '2'}]}", "{name: two, image: busybox}"
    k.apply(web % f"{one}, {two}")
    k.ok("set", "env", "deploy/pair", "-c", "one", "C=3")
    k.ok("apply", "-f", "-", input=web % "{name: one, image: busybox, env: [{name: A, value: '9'}]}", has="configured$")
    spec = json.loads(k.ok("get", "deploy", "pair", "-o", "json"))["spec"]["template"]["spec"]
    check([c["name"] for c in spec["containers"]] == ["one"], f"{spec}")
    check({e["name"]: e["value"] for e in spec["containers"][0]["env"]} == {"A": "9", "C": "3"}, f"{spec}")


@cell("apply --prune")
def apply_prune(k):
    one, two = ("{apiVersion: v1, kind: ConfigMap, metadata: {name: prune-%d, labels: {set: prune}}}\n" % i for i in (1, 2))
    kinds = "--prune-allowlist=core/v1/ConfigMap" if k.minor >= 26 else "--prune-whitelist=core/v1/ConfigMap"
    k.apply(one + "---\n" + two, "--prune", "-l", "set=prune", kinds)
    k.apply(one, "--prune", "-l", "set=prune", kinds, has=["^configmap/prune-1 unchanged$", "^configmap/prune-2 pruned$"])
    k.says("configmap/prune-1", "get", "cm", "-l", "set=prune", "-o", "name")


@cell("apply view-last-applied, set-last-applied")
def last_applied(k):
    k.ok("apply", "view-last-applied", "cm/box", has='^  c: "3"$')
    path = k.file("box.yaml", BOX % ("", '  c: "3"\n  d: "4"'))
    k.ok("apply", "set-last-applied", "-f", path, has="^configmap/box configured$")
    k.ok("apply", "view-last-applied", "cm", "box", "-o", "json", has='"d": "4"')


@cell("apply --server-side")
def server_side(k):
    tray = "{apiVersion: v1, kind: ConfigMap, metadata: {name: tray}, data: {a: '%s'}}"
    k.apply(tray % 1, "--server-side", has="^configmap/tray serverside-applied$")
    k.apply(tray % 1, "--server-side", has="^configmap/tray serverside-applied$")
    r = k.fails(r'Apply failed with 1 conflict: conflict with "kubectl"', "apply", "--server-side", "--field-manager=other", "-f", "-", input=tray % 2)
    check(".data.a" in r.err and "--force-conflicts" in r.err, f"{r}")
    k.apply(tray % 2, "--server-side", "--field-manager=other", "--force-conflicts", has="^configmap/tray serverside-applied$")
    k.says("2", "get", "cm", "tray", "-o", "jsonpath={.data.a}")
    managers = json.loads(k.ok("get", "cm", "tray", "-o", "json", *(["--show-managed-fields"] if k.minor >= 21 else [])))["metadata"]["managedFields"]
    check([m["manager"] for m in managers if "f:data" in m["fieldsV1"]] == ["other"], f"{managers}")
    # What only this manager owned goes when it is no longer applied.
    k.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: tray}}", "--server-side", "--field-manager=other")
    k.says("", "get", "cm", "tray", "-o", "jsonpath={.data}")


@cell("diff")
def diff(k):
    changed = BOX % ("", '  c: "4"')
    r = k.run("diff", "-f", "-", input=changed)
    check(r.code == 1 and '\n-  c: "3"' in r.out and '\n+  c: "4"' in r.out, f"{r}")
    k.says('3', "get", "cm", "box", "-o", "jsonpath={.data.c}")
    k.apply(changed)
    r = k.run("diff", "-f", "-", input=changed)
    check(r.code == 0 and r.out == "", f"{r}")
    r = k.run("diff", "-f", "-", input="{apiVersion: v1, kind: ConfigMap, metadata: {name: unborn}, data: {born: now}}")
    check(r.code == 1 and "\n+  born: now" in r.out, f"{r}")
    r = k.run("diff", "--server-side", "-f", "-", input="{apiVersion: v1, kind: ConfigMap, metadata: {name: tray}, data: {z: z}}")
    check(r.code == 1 and "\n+  z: z" in r.out, f"{r}")


@cell("patch: strategic, merge, json")
def patch(k):
    k.says("deployment.apps/pair patched", "patch", "deployment", "pair", "-p",
           '{"spec":{"template":{"spec":{"containers":[{"name":"extra","image":"busybox"}]}}}}')
    names = sorted(k.get("deploy/pair", "..containers[*].name").split())
    check(names == ["extra", "one"], f"a strategic patch adds by name: {names}")
    k.says("deployment.apps/pair patched", "patch", "deploy", "pair", "-p",
           '{"spec":{"template":{"spec":{"containers":[{"name":"extra","$patch":"delete"}]}}}}')
    k.says("one", "get", "deploy", "pair", "-o", "jsonpath={..containers[*].name}")
    k.says("configmap/settings patched", "patch", "cm", "settings", "--type=merge", "-p", '{"data":{"size":null,"shape":"round"}}')
    k.says('{"colour":"blue","shape":"round"}', "get", "cm", "settings", "-o", "jsonpath={.data}")
    k.says("configmap/settings patched", "patch", "cm", "settings", "--type=json", "-p", '[{"op":"replace","path":"/data/shape","value":"square"}]')
    k.says("configmap/settings patched (no change)", "patch", "cm", "settings", "--type=merge", "-p", '{"data":{"shape":"square"}}')
    k.fails("[Rr]equest is invalid|the server rejected our request", "patch", "cm",
            "settings", "--type=json", "-p", '[{"op":"remove","path":"/data/nothing"}]')
    k.fails('is invalid', "patch", "deploy", "pair", "-p", '{"spec":{"replicas":-1}}')
    k.fails(r'Error from server \(NotFound\): configmaps "nobody" not found', "patch", "cm", "nobody", "-p", "{}")


@cell("patch --subresource", since=24)
def patch_subresource(k):
    k.says("pod/talker patched", "patch", "pod", "talker", "--subresource=status", "-p",
           '{"status":{"conditions":[{"type":"x.example/seen","status":"True"}]}}')
    k.ok("wait", "--for=condition=x.example/seen", "pod/talker")
    scale = json.loads(k.ok("get", "deploy", "pair", "--subresource=scale", "-o", "json"))
    check(scale["kind"] == "Scale" and scale["spec"].get("replicas", 0) == 0, f"{scale}")


@cell("replace")
def replace(k):
    k.ok("replace", "-f", "-", input=BOX % ("", '  only: "this"'), has="^configmap/box replaced$")
    k.says('{"a":"1","only":"this"}', "get", "cm", "box", "-o", "jsonpath={.data}")
    old = json.loads(k.ok("get", "cm", "box", "-o", "json"))
    k.ok("label", "cm", "box", "newer=yes")
    k.fails(r'Error from server \(Conflict\): error when replacing "STDIN": Operation cannot be fulfilled on configmaps "box": the object has been '
            "modified; please apply your changes to the latest version and try again", "replace", "-f", "-", input=json.dumps(old))
    uid = old["metadata"]["uid"]
    k.ok("replace", "--force", "-f", "-", input=BOX % ("", ""), has=['^configmap "box" deleted', "^configmap/box replaced$"])
    check(k.get("cm/box", ".metadata.uid") != uid, "a forced replace makes a new object")
    k.fails("NotFound", "replace", "-f", "-", input="{apiVersion: v1, kind: ConfigMap, metadata: {name: unborn}}")


@cell("edit")
def edit(k):
    k.ok("edit", "configmap", "settings", env={"KUBE_EDITOR": "sed -i s/colour:.blue/colour:\\ green/"}, has="^configmap/settings edited$")
    k.says("green", "get", "cm", "settings", "-o", "jsonpath={.data.colour}")
    r = k.run("edit", "configmap", "settings", env={"KUBE_EDITOR": "true"})
    check(r.code == 0 and "Edit cancelled, no changes made." in r.out + r.err, f"{r}")
    k.fails("is invalid", "edit", "deployment", "pair", env={"KUBE_EDITOR": "sed -i 's/replicas: 0/replicas: -7/'"})
    k.says("0", "get", "deploy", "pair", "-o", "jsonpath={.spec.replicas}")


@cell("label")
def label(k):
    k.says("configmap/settings labeled", "label", "cm", "settings", "shade=dark")
    k.fails("'shade' already has a value \\(dark\\), and --overwrite is false", "label", "cm", "settings", "shade=light")
    k.says("configmap/settings labeled", "label", "cm", "settings", "shade=light", "--overwrite")
    k.ok("label", "cm", "settings", "shade-", has="^configmap/settings (un)?labeled$")
    k.says("blue", "get", "cm", "settings", "-o", "jsonpath={.metadata.labels.color}")
    k.ok("label", "pods", "-l", "level", "both=yes", has=["^pod/talker labeled$", "^pod/shell labeled$"])
    k.fails("invalid|must be", "label", "cm", "settings", "shade=not a value")
    k.ok("label", "cm", "settings", "--list", has="^color=blue$")


@cell("annotate")
def annotate(k):
    said = "configmap/settings annotate" + ("d" if k.minor != 27 else "")  # 1.27 says it without its d
    k.says(said, "annotate", "cm", "settings", "note=some words here")
    k.says("some words here", "get", "cm", "settings", "-o", "jsonpath={.metadata.annotations.note}")
    k.fails("--overwrite is false", "annotate", "cm", "settings", "note=others")
    k.says(said, "annotate", "cm", "settings", "note-")
    k.says("", "get", "cm", "settings", "-o", "jsonpath={.metadata.annotations.note}")


@cell("scale")
def scale(k):
    k.says("deployment.apps/web scaled", "scale", "deployment", "web", "--replicas=3")
    k.until(r"^web\s+3/3\s", "get", "deploy", "web")
    k.fails("Expected replicas to be 7, was 3", "scale", "deploy/web", "--current-replicas=7", "--replicas=1")
    k.says("deployment.apps/web scaled", "scale", "deploy/web", "--current-replicas=3", "--replicas=2")
    k.until(r"^web\s+2/2\s", "get", "deploy", "web")
    k.fails(r'Error from server \(NotFound\): deployments.apps "nobody" not found|no objects passed to scale', "scale", "deploy", "nobody", "--replicas=1")


@cell("set image, env, resources, serviceaccount, selector, subject")
def set_things(k):
    k.says("deployment.apps/pair image updated", "set", "image", "deployment/pair", "one=redis:7")
    k.says("redis:7", "get", "deploy", "pair", "-o", "jsonpath={..image}")
    k.fails('unable to find container named "nine"', "set", "image", "deploy/pair", "nine=x")
    k.says("deployment.apps/pair env updated", "set", "env", "deploy/pair", "MOOD=good")
    k.ok("set", "env", "deploy/pair", "--list", has=["^MOOD=good$", "^A=9$"])
    k.says("deployment.apps/pair env updated", "set", "env", "deploy/pair", "--from=configmap/settings", "--prefix=SET_")
    k.ok("set", "env", "deploy/pair", "--list", "--resolve", has="^SET_COLOUR=green$")
    k.says("deployment.apps/pair resource requirements updated", "set", "resources", "deploy/pair", "--limits=cpu=200m,memory=32Mi")
    k.says("200m", "get", "deploy", "pair", "-o", "jsonpath={..limits.cpu}")
    k.says("deployment.apps/pair serviceaccount updated", "set", "serviceaccount", "deploy/pair", "robot")
    k.says("robot", "get", "deploy", "pair", "-o", "jsonpath={..serviceAccountName}")
    k.ok("create", "service", "clusterip", "picky", "--tcp=1:1")
    k.says("service/picky selector updated", "set", "selector", "service", "picky", "app=other")
    k.says('{"app":"other"}', "get", "svc", "picky", "-o", "jsonpath={.spec.selector}")
    k.says("rolebinding.rbac.authorization.k8s.io/robot-looks subjects updated", "set", "subject", "rolebinding", "robot-looks", "--user=jane")
    k.says("jane", "get", "rolebinding", "robot-looks", "-o", "jsonpath={.subjects[1].name}")
    k.ok("delete", "svc/picky")


@cell("autoscale")
def autoscale(k):
    k.says("horizontalpodautoscaler.autoscaling/pair autoscaled", "autoscale", "deployment", "pair", "--min=2", "--max=5", "--cpu-percent=80")
    row = k.table("get", "hpa", "pair").rows[0]
    check((row["REFERENCE"], row["MINPODS"], row["MAXPODS"]) == ("Deployment/pair", "2", "5") and "80%" in row["TARGETS"], f"{row}")
    k.says("80", "get", "horizontalpodautoscalers.v1.autoscaling", "pair", "-o", "jsonpath={.spec.targetCPUUtilizationPercentage}")
    k.ok("describe", "hpa", "pair", has=[r"^Min replicas:\s+2$", r"^Max replicas:\s+5$"])
    k.ok("delete", "hpa", "pair")
