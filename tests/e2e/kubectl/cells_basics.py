"""Configuration, versions, discovery, documentation; and the fixture, so that its pods start while the rest goes on."""
import json
import os
import re

from harness import cell, check

FIXTURE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixture.yaml")


@cell("create namespace")
def create_namespace(k):
    k.says(f"namespace/{k.ns} created", "create", "namespace", k.ns)
    k.fails(rf'Error from server \(AlreadyExists\): namespaces "{k.ns}" already exists', "create", "namespace", k.ns)
    k.says("Active", "get", "ns", k.ns, "-o", "jsonpath={.status.phase}")


@cell("config")
def config(k):
    context = k.ok("config", "current-context").strip()
    k.ok("config", "set-context", "--current", f"--namespace={k.ns}", has=f'^Context "{context}" modified')
    k.says(k.ns, "config", "view", "--minify", "-o", "jsonpath={..namespace}")
    k.kept["context"] = context
    k.until("default", "get", "serviceaccounts", "-o", "name")


@cell("apply: create")
def apply_create(k):
    k.ok("apply", "-f", FIXTURE, has=[
        "^deployment.apps/web created$", "^pod/talker created$", "^daemonset.apps/everywhere created$", "^job.batch/once created$",
        "^configmap/settings created$", "^secret/password created$", "^networkpolicy.networking.k8s.io/closed created$"])
    applied = json.loads(k.get("cm/settings", r".metadata.annotations.kubectl\.kubernetes\.io/last-applied-configuration"))
    check(applied["data"] == {"colour": "blue", "size": "3"}, f"last-applied-configuration holds {applied}")


@cell("version")
def version(k):
    said = json.loads(k.ok("version", "-o", "json"))
    check(said["clientVersion"]["minor"].startswith(str(k.minor)), f"{said}")
    check(re.match(r"v1\.\d+\.\d+", said["serverVersion"]["gitVersion"]) and said["serverVersion"]["platform"], f"{said}")
    k.ok("version", has=r"^Server Version: .*v1\.\d+\.\d+")


@cell("cluster-info")
def cluster_info(k):
    out = re.sub(r"\x1b\[[0-9;]*m", "", k.ok("cluster-info"))
    check(re.search(r"^Kubernetes control plane is running at https://", out, re.M), out)
    check(re.search(r"is running at https://\S+/api/v1/namespaces/kube-system/services/kube-dns:dns/proxy", out, re.M), out)


@cell("cluster-info dump")
def cluster_info_dump(k):
    k.until("1", "get", "job", "once", "-o", "jsonpath={.status.succeeded}")
    k.ok("wait", "--for=condition=Ready", "pod/talker", "--timeout=80s")
    folder = k.file("dump")
    k.ok("cluster-info", "dump", "--namespaces", k.ns, "--output-directory", folder, has="^Cluster info dumped to")
    with open(os.path.join(folder, "nodes.json")) as f:
        check(json.load(f)["items"], "nodes.json has no items")
    with open(os.path.join(folder, k.ns, "talker", "logs.txt")) as f:
        logs = f.read()
    check("line 3" in logs and "quiet says hello" in logs, f"logs.txt of talker: {logs}")


@cell("api-versions")
def api_versions(k):
    wanted = "v1 apps/v1 batch/v1 networking.k8s.io/v1 rbac.authorization.k8s.io/v1 policy/v1 autoscaling/v1 autoscaling/v2 " \
             "certificates.k8s.io/v1 coordination.k8s.io/v1 discovery.k8s.io/v1 apiextensions.k8s.io/v1 storage.k8s.io/v1 " \
             "metrics.k8s.io/v1beta1"
    said = k.ok("api-versions").split()
    check(said == sorted(said), f"not sorted: {said}")
    check(not set(wanted.split()) - set(said), f"absent: {set(wanted.split()) - set(said)}")


@cell("api-resources")
def api_resources(k):
    k.ok("api-resources", has=[
        r"^NAME\s+SHORTNAMES\s+API(VERSION|GROUP)\s+NAMESPACED\s+KIND$", r"^pods\s+po\s+(v1\s+)?true\s+Pod$",
        r"^deployments\s+deploy\s+apps(/v1)?\s+true\s+Deployment$", r"^nodes\s+no\s+(v1\s+)?false\s+Node$",
        r"^customresourcedefinitions\s+crd,crds\s+apiextensions.k8s.io(/v1)?\s+false\s+CustomResourceDefinition$"])
    k.ok("api-resources", "-o", "wide", has=[r"^NAME.*\s+VERBS", r"^configmaps .*create.*delete.*deletecollection.*get.*list.*patch.*update.*watch"])
    k.ok("api-resources", "--api-group=apps", "--namespaced=true", "-o", "name",
         has=[r"^deployments\.apps$", r"^statefulsets\.apps$"], lacks=["^pods$", "batch"])
    k.ok("api-resources", "--verbs=list", "--namespaced=false", "-o", "name", has=["^namespaces$", "^nodes$"],
         lacks=["tokenreviews", "^pods$"])


@cell("explain")
def explain(k):
    k.ok("explain", "pods", has=[r"^KIND:\s+Pod$", r"^VERSION:\s+v1$", r"^DESCRIPTION:", r"^\s+spec\s+<"])
    k.ok("explain", "pod.spec.containers", has=[r"containers\s*<\[\]", r"^\s+image\s+<string>", r"^\s+name\s+<string>.*-required-",
                                                "A single application container"])
    k.ok("explain", "deploy.spec.strategy.rollingUpdate.maxSurge", has=[r"maxSurge", "IntOrString|string", "maximum number of pods"])
    k.ok("explain", "hpa", "--api-version=autoscaling/v2", has=[r"^VERSION:\s+(autoscaling/)?v2$"])
    k.fails("""couldn't find resource for|the server doesn't have a resource type|doesn't exist""", "explain", "nosuchthing")
    k.fails('field "nosuchfield" does not exist', "explain", "pod.spec.nosuchfield")


@cell("explain --recursive")
def explain_recursive(k):
    out = k.ok("explain", "deployment", "--recursive", has=[r"^KIND:\s+Deployment$", r"^\s+terminationGracePeriodSeconds\s+<integer>",
                                                            r"^\s+matchExpressions\s+<\[\]", r"^\s+maxUnavailable\s+<"])
    check(len(out.splitlines()) > 800, f"only {len(out.splitlines())} lines")


@cell("get --raw")
def get_raw(k):
    k.says("ok", "get", "--raw", "/readyz")
    k.ok("get", "--raw", "/livez?verbose", has=[r"^\[\+\]ping ok", "^livez check passed"])
    check(json.loads(k.ok("get", "--raw", f"/api/v1/namespaces/{k.ns}/configmaps/settings"))["data"]["size"] == "3", "wrong object")
    k.fails("NotFound", "get", "--raw", "/apis/nobody/v1")


@cell("proxy")
def proxy(k):
    from urllib.request import urlopen
    with k.start("proxy", "--port=0") as p:
        port = p.expect(r"Starting to serve on 127\.0\.0\.1:(\d+)").group(1)
        with urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/{k.ns}/configmaps/settings", timeout=30) as r:
            check(json.load(r)["data"]["colour"] == "blue", "wrong object")


@cell("kustomize, apply -k")
def kustomize(k):
    os.makedirs(k.file("kustom"), exist_ok=True)
    k.file("kustom/base.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kustomized}\ndata: {a: b}\n")
    k.file("kustom/kustomization.yaml", "resources: [base.yaml]\nnamePrefix: my-\nconfigMapGenerator:\n- {name: made, literals: [x=y]}\n")
    k.ok("kustomize", k.file("kustom"), has=["name: my-kustomized", "name: my-made-[a-z0-9]+"])
    k.ok("apply", "-k", k.file("kustom"), has=["^configmap/my-kustomized created$", "^configmap/my-made-[a-z0-9]+ created$"])
    k.ok("delete", "-k", k.file("kustom"), has='^configmap "my-kustomized" deleted')
