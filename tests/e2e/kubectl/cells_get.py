"""Reading: every everyday kind as a table with the columns users know, the output formats, selection, sorting, watching."""
import json
import re

from harness import cell, check

# Columns as a v1.32 server gives them; +: those of -o wide.
PODS = "NAME READY STATUS RESTARTS AGE +IP +NODE +NOMINATED_NODE +READINESS_GATES"
NODES = "NAME STATUS ROLES AGE VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME"
SERVICES = "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE +SELECTOR"
DEPLOYMENTS = "NAME READY UP-TO-DATE AVAILABLE AGE +CONTAINERS +IMAGES +SELECTOR"
REPLICASETS = "NAME DESIRED CURRENT READY AGE +CONTAINERS +IMAGES +SELECTOR"
DAEMONSETS = "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE_SELECTOR AGE +CONTAINERS +IMAGES +SELECTOR"
JOBS = "NAME STATUS COMPLETIONS DURATION AGE +CONTAINERS +IMAGES +SELECTOR"
EVENTS = "LAST_SEEN TYPE REASON OBJECT +SUBOBJECT +SOURCE MESSAGE +FIRST_SEEN +COUNT +NAME"
BINDINGS = "NAME ROLE AGE +USERS +GROUPS +SERVICEACCOUNTS"


def columns(k, spec, *args):
    """Compares the columns of both forms; returns the wide table."""
    names = [n.replace("_", " ") for n in spec.split()]
    narrow = k.table("get", *args)
    check(narrow.columns == [n for n in names if n[0] != "+"], f"get {args}: columns {narrow.columns}")
    wide = k.table("get", *args, "-o", "wide")
    check(wide.columns == [n.lstrip("+") for n in names], f"get {args} -o wide: columns {wide.columns}")
    check(wide.rows, f"get {args}: no rows")
    return wide


@cell("get pods")
def pods(k):
    for name in ("talker", "shell"):
        k.ok("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=80s")
    k.until("Never", "get", "pod", "stuck")
    t = columns(k, PODS, "pods")
    talker = t.row("talker")
    check(talker["READY"] == "2/2" and talker["STATUS"] == "Running" and talker["RESTARTS"] == "0", f"{talker}")
    check(re.fullmatch(r"\d+(s|m\d*s?)", talker["AGE"]) and re.match(r"10\.", talker["IP"]) and talker["NODE"], f"{talker}")
    check(talker["NOMINATED NODE"] == "<none>" and talker["READINESS GATES"] == "<none>", f"{talker}")
    check(t.row("stuck")["STATUS"] == "ErrImageNeverPull" and t.row("stuck")["READY"] == "0/1", f"{t.row('stuck')}")
    k.until(r"crasher\s+0/1\s+CrashLoopBackOff\s+[1-9]", "get", "pod", "crasher")


@cell("get nodes")
def nodes(k):
    t = columns(k, NODES, "nodes")
    check(len(t.rows) == 2 and all(r["STATUS"] == "Ready" and r["VERSION"].startswith("v1.") for r in t.rows), f"{t.rows}")
    check([r["ROLES"] for r in t.rows] == ["control-plane", "<none>"], f"{t.rows}")
    check(all(re.fullmatch(r"[\d.]+", r["INTERNAL-IP"]) and "containerd://" in r["CONTAINER-RUNTIME"] for r in t.rows), f"{t.rows}")


@cell("get services")
def services(k):
    row = columns(k, SERVICES, "services", "-n", "default").row("kubernetes")
    check(row["TYPE"] == "ClusterIP" and row["EXTERNAL-IP"] == "<none>" and row["PORT(S)"] == "443/TCP", f"{row}")


@cell("get deployments, replicasets, daemonsets")
def workloads(k):
    k.ok("rollout", "status", "deployment/web", "--timeout=80s")
    row = columns(k, DEPLOYMENTS, "deployments").row("web")
    check((row["READY"], row["UP-TO-DATE"], row["AVAILABLE"]) == ("2/2", "2", "2"), f"{row}")
    check((row["CONTAINERS"], row["IMAGES"], row["SELECTOR"]) == ("httpd", "busybox:latest", "app=web"), f"{row}")
    rs = columns(k, REPLICASETS, "rs").rows[0]
    check(re.match("web-[a-z0-9]+$", rs["NAME"]) and (rs["DESIRED"], rs["CURRENT"], rs["READY"]) == ("2", "2", "2"), f"{rs}")
    check("pod-template-hash=" in rs["SELECTOR"], f"{rs}")
    k.ok("rollout", "status", "ds/everywhere", "--timeout=80s")
    ds = columns(k, DAEMONSETS, "ds").row("everywhere")
    check([ds[c] for c in ("DESIRED", "CURRENT", "READY", "UP-TO-DATE", "AVAILABLE", "NODE SELECTOR")] == ["2"] * 5 + ["<none>"], f"{ds}")


@cell("get jobs")
def jobs(k):
    row = columns(k, JOBS, "jobs").row("once")
    check(row["STATUS"] == "Complete" and row["COMPLETIONS"] == "1/1" and re.fullmatch(r"\d+s", row["DURATION"]), f"{row}")


@cell("get configmaps, secrets, serviceaccounts")
def settings(k):
    check(columns(k, "NAME DATA AGE", "cm").row("settings")["DATA"] == "2", "settings has two keys")
    columns(k, "NAME DATA AGE", "cm").row("kube-root-ca.crt")
    check(columns(k, "NAME TYPE DATA AGE", "secrets").row("password")["TYPE"] == "Opaque", "type of the secret")
    check(columns(k, "NAME SECRETS AGE", "sa").row("default")["SECRETS"] == "0", "default has no secrets")


@cell("get events")
def get_events(k):
    t = columns(k, EVENTS, "events")
    seen = {(r["REASON"], r["OBJECT"]) for r in t.rows}
    for wanted in [("Scheduled", "pod/talker"), ("Started", "pod/talker"), ("ScalingReplicaSet", "deployment/web"), ("Completed", "job/once")]:
        check(wanted in seen, f"no event {wanted} in {sorted(seen)}")
    k.ok("get", "events", "--field-selector=involvedObject.name=crasher,type=Warning", has="BackOff", lacks="talker")


@cell("get leases, endpoints, endpointslices")
def leases(k):
    nodes_leases = columns(k, "NAME HOLDER AGE", "leases", "-n", "kube-node-lease").rows
    check(len(nodes_leases) == 2 and all(r["NAME"] == r["HOLDER"] for r in nodes_leases), f"{nodes_leases}")
    check(":6443" in columns(k, "NAME ENDPOINTS AGE", "endpoints", "-n", "default").row("kubernetes")["ENDPOINTS"], "endpoints of kubernetes")
    row = columns(k, "NAME ADDRESSTYPE PORTS ENDPOINTS AGE", "endpointslices", "-n", "default").row("kubernetes")
    check(row["ADDRESSTYPE"] == "IPv4" and row["PORTS"] == "6443", f"{row}")


@cell("get namespaces")
def namespaces(k):
    t = columns(k, "NAME STATUS AGE", "ns")
    for name in ("default", "kube-system", "kube-public", "kube-node-lease", k.ns):
        check(t.row(name)["STATUS"] == "Active", f"{t.rows}")


@cell("get roles, bindings, clusterroles")
def roles(k):
    columns(k, "NAME CREATED_AT", "roles", "-n", "kube-system")
    columns(k, BINDINGS, "rolebindings", "-n", "kube-system")
    row = columns(k, "NAME CREATED_AT", "clusterroles").row("cluster-admin")
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["CREATED AT"]), f"{row}")
    row = columns(k, BINDINGS, "clusterrolebindings").row("cluster-admin")
    check(row["ROLE"] == "ClusterRole/cluster-admin" and row["GROUPS"] == "system:masters", f"{row}")


@cell("get priorityclasses, networkpolicies")
def classes(k):
    row = columns(k, "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY", "pc").row("system-node-critical")
    check(row["VALUE"] == "2000001000" and row["GLOBAL-DEFAULT"] == "false", f"{row}")
    check(columns(k, "NAME POD-SELECTOR AGE", "netpol").row("closed")["POD-SELECTOR"] == "app=none-such", "selector of the policy")


@cell("get all, several kinds")
def get_all(k):
    k.ok("get", "all", has=[r"^pod/talker ", r"^deployment\.apps/web ", r"^replicaset\.apps/web-", r"^daemonset\.apps/everywhere ",
                            r"^job\.batch/once "], lacks=["^configmap", "^secret"])
    k.ok("get", "cm/settings", "secret/password", has=[r"^configmap/settings ", r"^secret/password "])
    k.ok("get", "deploy,ds", has=[r"^deployment\.apps/web ", r"^daemonset\.apps/everywhere "])


@cell("get -o yaml, json, name")
def formats(k):
    k.ok("get", "cm", "settings", "-o", "yaml", has=["^apiVersion: v1$", "^kind: ConfigMap$", "^  colour: blue$", '^  size: "3"$',
                                                     f"^  namespace: {k.ns}$"], lacks="managedFields" if k.minor >= 21 else ())
    pod = json.loads(k.ok("get", "pod", "talker", "-o", "json"))
    check(pod["kind"] == "Pod" and len(pod["status"]["containerStatuses"]) == 2 and pod["metadata"]["uid"], "pod as JSON")
    both = json.loads(k.ok("get", "pods", "-o", "json"))
    check(both["kind"] == "List" and both["apiVersion"] == "v1" and len(both["items"]) >= 7, "pods as JSON")
    k.says("pod/talker", "get", "pod", "talker", "-o", "name")
    k.says("deployment.apps/web", "get", "deploy", "-o", "name")


@cell("get -o jsonpath, custom-columns, go-template")
def templates(k):
    k.says("blue 3", "get", "cm", "settings", "-o", "jsonpath={.data.colour} {.data.size}")
    k.says("loud\nquiet", "get", "pod", "talker", "-o", r'jsonpath={range .spec.containers[*]}{.name}{"\n"}{end}')
    t = k.table("get", "pods", "-l", "app=talker", "-o", "custom-columns=WHO:.metadata.name,IMAGE:.spec.containers[0].image,NONE:.spec.none")
    check(t.columns == ["WHO", "IMAGE", "NONE"] and t.rows == [{"WHO": "talker", "IMAGE": "busybox:latest", "NONE": "<none>"}], f"{t.rows}")
    k.says("blue", "get", "cm", "settings", "-o", "go-template={{.data.colour}}")


@cell("get --sort-by")
def sort_by(k):
    names = [r["NAME"] for r in k.table("get", "pods", "--sort-by=.metadata.name").rows]
    plain = [n for n in names if n.isalpha()]   # in generated names kubectl compares digits as numbers
    check(plain == ["crasher", "shell", "stuck", "talker"] and len(names) >= 7, f"{names}")
    t = k.table("get", "pods", "-l", "level", "--sort-by={.metadata.labels.level}", "-o", "wide")
    check([r["NAME"] for r in t.rows] == ["talker", "shell"] and "NODE" in t.columns, f"{t.rows}")
    times = json.loads(k.ok("get", "events", "--sort-by=.metadata.creationTimestamp", "-o", "json"))["items"]
    stamps = [e["metadata"]["creationTimestamp"] for e in times]
    check(stamps == sorted(stamps), f"{stamps}")


@cell("get -l")
def labels(k):
    def names(selector):
        return sorted(k.ok("get", "pods", "-l", selector, "-o", "name").split())
    check(names("app=talker") == ["pod/talker"], "app=talker")
    check(names("level") == ["pod/shell", "pod/talker"], "level")
    check(names("app in (talker,shell),level!=1") == ["pod/shell"], "in, !=")
    check("pod/shell" not in names("!level"), "!level")
    k.fails(rf"^No resources found in {k.ns} namespace\.$", "get", "pods", "-l", "app=nothing", code=0)


@cell("get --field-selector")
def fields(k):
    k.says("pod/talker", "get", "pods", "--field-selector=metadata.name=talker", "-o", "name")
    k.ok("get", "pods", "--field-selector=status.phase=Running", "-o", "name", has="pod/talker", lacks="pod/stuck")
    node = k.get("pod/talker", ".spec.nodeName")
    k.ok("get", "pods", f"--field-selector=spec.nodeName={node}", "-o", "name", has="pod/talker")
    k.fails("field label not supported", "get", "pods", "--field-selector=spec.nonsense=1")


@cell("get -A")
def all_namespaces(k):
    t = k.table("get", "pods", "-A")
    check(t.columns[0] == "NAMESPACE" and any(r["NAMESPACE"] == k.ns and r["NAME"] == "talker" for r in t.rows), f"{t.columns}")
    k.ok("get", "svc", "--all-namespaces", has=[r"^default\s+kubernetes\s", r"^kube-system\s+kube-dns\s"])


@cell("get --show-labels, -L, --no-headers, --show-kind, --chunk-size")
def decorations(k):
    t = k.table("get", "pod", "talker", "--show-labels", "-L", "app")
    check(t.columns[-2:] == ["APP", "LABELS"] and t.rows[0]["APP"] == "talker" and t.rows[0]["LABELS"] == "app=talker,level=1", f"{t.rows}")
    k.ok("get", "pod", "talker", "--no-headers", has=r"^talker\s+2/2", lacks="NAME")
    k.ok("get", "pod", "talker", "--show-kind", has="^pod/talker ")
    names = k.ok("get", "clusterroles", "-o", "name")
    check(k.ok("get", "clusterroles", "-o", "name", "--chunk-size=7") == names, "paging changes the list")


@cell("get of what is not there")
def absent(k):
    k.fails(r'^Error from server \(NotFound\): pods "nobody" not found$', "get", "pod", "nobody")
    k.fails(r'^Error from server \(NotFound\): deployments.apps "nobody" not found$', "get", "deploy", "nobody")
    k.fails("""^error: the server doesn't have a resource type "nonsense"$""", "get", "nonsense")
    k.says("", "get", "pod", "nobody", "--ignore-not-found")
    k.fails("^No resources found$", "get", "pv", code=0)


@cell("get -w")
def watch(k):
    k.ok("create", "configmap", "watched", "--from-literal=a=1")
    with k.start("get", "configmaps", "-w", "--output-watch-events", "--field-selector=metadata.name=watched") as w:
        w.expect(r"^EVENT\s+NAME\s+DATA\s+AGE$")
        w.expect(r"^ADDED\s+watched\s+1\s")
        k.ok("patch", "cm", "watched", "--type=merge", "-p", '{"data":{"b":"2"}}')
        w.expect(r"^MODIFIED\s+watched\s+2\s")
        k.ok("delete", "cm", "watched")
        w.expect(r"^DELETED\s+watched\s")
        w.interrupt()
    k.ok("label", "pod", "talker", "seen=no")  # 1.22 prints nothing at all where a field is missing
    with k.start("get", "pod", "talker", "-w", "-o", "jsonpath={.metadata.labels.seen}{'|'}") as w:
        w.expect(r"^no\|")
        k.ok("label", "--overwrite", "pod", "talker", "seen=yes")
        w.expect(r"yes\|")
    k.ok("label", "pod", "talker", "seen-")


@cell("describe pod")
def describe_pod(k):
    k.ok("describe", "pod", "talker", has=[
        r"^Name:\s+talker$", rf"^Namespace:\s+{k.ns}$", r"^Status:\s+Running$", r"^Labels:\s+app=talker$", r"^\s+quiet:$",
        r"^\s+Image:\s+busybox:latest$", r"^\s+Container ID:\s+containerd://[0-9a-f]{64}$", r"^\s+State:\s+Running$", r"^\s+Ready\s+True",
        r"^QoS Class:\s+BestEffort$", r"^\s+kube-api-access-\w+:$", r"^Events:$", r"Normal\s+Scheduled\s.*Successfully assigned",
        r"Normal\s+Started\s.*Started container loud"])
    k.until(r"(?s)^\s+Reason:\s+CrashLoopBackOff$.*^\s+Exit Code:\s+3$.*Warning\s+BackOff\s", "describe", "pod/crasher")
    k.ok("describe", "pods", "-l", "app=web", has=[r"^Controlled By:\s+ReplicaSet/web-", r"^QoS Class:\s+Burstable$", r"^\s+Readiness:\s+tcp-socket :http"])
    k.fails(r'Error from server \(NotFound\): pods "nobody" not found', "describe", "pod", "nobody")


@cell("describe node")
def describe_node(k):
    k.ok("describe", "node", has=[
        r"^Name:\s+\S+", r"^Roles:\s+control-plane$", r"^Lease:$", r"^\s+HolderIdentity:\s+\S+", r"^\s+Ready\s+True\s.*KubeletReady",
        r"^\s+MemoryPressure\s+False", r"^\s+InternalIP:\s+[\d.]+", r"^Capacity:$", r"^\s+pods:\s+110$", r"^PodCIDR:\s+10\.",
        rf"^\s+{k.ns}\s+talker\s", r"^Allocated resources:$", r"^\s+Kubelet Version:\s+v1\."])


@cell("describe of other kinds")
def describe(k):
    k.ok("describe", "deployment", "web", has=[r"^Replicas:\s+2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable$",
                                               r"^StrategyType:\s+RollingUpdate$", r"^\s+Available\s+True", r"ScalingReplicaSet"])
    k.ok("describe", "rs", "-l", "app=web", has=[r"^Controlled By:\s+Deployment/web$", "SuccessfulCreate"])
    k.ok("describe", "ds", "everywhere", has=[r"^Desired Number of Nodes Scheduled: 2$", r"^Pods Status:\s+2 Running"])
    k.ok("describe", "job", "once", has=[r"^Pods Statuses:\s+0 (Running|Active).* / 1 Succeeded / 0 Failed", "SuccessfulCreate", "Completed"])
    k.ok("describe", "svc", "kubernetes", "-n", "default", has=[r"^(IP|IPs):\s+10\.96\.0\.1$", r"^Endpoints:\s+[\d.]+:6443$"])
    k.ok("describe", "cm", "settings", has=["^colour:$", "^blue$"])
    k.ok("describe", "secret", "password", has=[r"^password:\s+11 bytes$"], lacks="sesame")
    k.ok("describe", "ns", k.ns, has=[r"^Status:\s+Active$"])
    k.ok("describe", "clusterrole", "cluster-admin", has=[r"^\s+\*\.\*\s"])
    k.ok("describe", "netpol", "closed", has=[r"PodSelector:\s+app=none-such"])
