"""Who may do what, certificates, events, load; waiting and deleting; and, alone, what empties nodes."""
import base64
import json
import re
import subprocess

from harness import cell, check


@cell("auth can-i")
def can_i(k):
    k.says("yes", "auth", "can-i", "create", "pods")
    robot = f"--as=system:serviceaccount:{k.ns}:robot"
    k.says("yes", "auth", "can-i", "list", "pods", robot)
    k.says("yes", "auth", "can-i", "get", "deployments.apps/web", robot)
    r = k.run("auth", "can-i", "delete", "pods", robot)
    check(r.code == 1 and re.match("no", r.out), f"{r}")
    r = k.run("auth", "can-i", "get", "/metrics", robot)
    check(r.code == 1 and re.match("no", r.out), f"{r}")
    k.ok("auth", "can-i", "--list", robot, has=[r"^Resources\s+Non-Resource URLs\s+Resource Names\s+Verbs$", r"^pods\s+\[\]\s+\[\]\s+\[get list watch\]",
                                                r"^selfsubjectaccessreviews\.authorization\.k8s\.io\s+\[\]\s+\[\]\s+\[create\]"])


@cell("--as, --as-group; Forbidden")
def impersonate(k):
    robot = f"system:serviceaccount:{k.ns}:robot"
    k.ok("get", "pods", f"--as={robot}", has="^talker ")
    k.fails(f'^Error from server \\(Forbidden\\): secrets is forbidden: User "{robot}" cannot list resource "secrets" in API group "" in the namespace "{k.ns}"',
            "get", "secrets", f"--as={robot}")
    k.ok("get", "secrets", "--as=someone", "--as-group=system:masters")
    k.fails(r'^Error from server \(Forbidden\): nodes is forbidden: User "someone" cannot list resource "nodes" in API group "" at the cluster scope',
            "get", "nodes", "--as=someone")


@cell("auth whoami", since=28)
def whoami(k):
    k.ok("auth", "whoami", has=[r"^ATTRIBUTE\s+VALUE$", r"^Username\s+kubernetes-admin$", r"^Groups\s+\[.*system:authenticated.*\]$"])


@cell("auth reconcile")
def reconcile(k):
    role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: mended, namespace: " + k.ns + \
           "}, rules: [{apiGroups: [''], resources: [pods], verbs: [%s]}]}"
    k.ok("auth", "reconcile", "-f", "-", input=role % "get", has="^role.rbac.authorization.k8s.io/mended reconciled$")
    k.ok("auth", "reconcile", "-f", "-", input=role % "get, list", has="mended reconciled$")
    verbs = {v for rule in json.loads(k.ok("get", "role", "mended", "-o", "json"))["rules"] for v in rule["verbs"]}
    check(verbs == {"get", "list"}, f"{verbs}")


@cell("create token, config set-credentials", since=24)
def token(k):
    made = k.ok("create", "token", "robot", "--duration=20m").strip()
    parts = made.split(".")
    check(len(parts) == 3, made)
    claims = json.loads(base64.urlsafe_b64decode(parts[1] + "==="))
    check(claims["sub"] == f"system:serviceaccount:{k.ns}:robot" and claims["exp"] - claims["iat"] == 1200, f"{claims}")
    cluster = k.ok("config", "view", "--minify", "-o", "jsonpath={.clusters[0].name}")
    k.ok("config", "set-credentials", "robot", f"--token={made}", has='^User "robot" set')
    k.ok("config", "set-context", "robot", f"--cluster={cluster}", "--user=robot", f"--namespace={k.ns}")
    k.ok("--context=robot", "get", "pods", has="^talker ")
    k.fails("Forbidden", "--context=robot", "delete", "pod", "talker")
    k.ok("config", "set-credentials", "robot", f"--token={made[:-4]}AAAA")
    k.fails("Unauthorized|You must be logged in", "--context=robot", "get", "pods")
    k.fails(r'serviceaccounts "nobody" not found', "create", "token", "nobody")


def request(k, name):
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/O=readers/CN={name}",
                    "-keyout", k.file("csr.key"), "-out", k.file("csr.pem")], check=True, capture_output=True, timeout=60)
    with open(k.file("csr.pem"), "rb") as f:
        text = base64.b64encode(f.read()).decode()
    k.apply(f"{{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {{name: {name}}}, spec: {{request: {text}, "
            "signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}}")


@cell("certificate approve, deny; get csr")
def certificate(k):
    yes, no = f"{k.ns}-yes", f"{k.ns}-no"
    request(k, no)
    k.says(f"certificatesigningrequest.certificates.k8s.io/{no} denied", "certificate", "deny", no)
    k.until("Denied", "get", "csr", no)
    request(k, yes)
    t = k.table("get", "csr")
    check(t.columns == ["NAME", "AGE", "SIGNERNAME", "REQUESTOR", "REQUESTEDDURATION", "CONDITION"], f"{t.columns}")
    check(t.row(yes)["CONDITION"] == "Pending" and t.row(yes)["REQUESTOR"] == "kubernetes-admin", f"{t.row(yes)}")
    k.says(f"certificatesigningrequest.certificates.k8s.io/{yes} approved", "certificate", "approve", yes)
    k.until("Approved,Issued", "get", "csr", yes)
    k.file("csr.crt", base64.b64decode(k.get(f"csr/{yes}", ".status.certificate")))
    k.ok("describe", "csr", yes, has=[r"^Status:\s+Approved,Issued$", rf"Common Name:\s+{yes}"])
    config = json.loads(k.ok("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"client-certificate": k.file("csr.crt"), "client-key": k.file("csr.key")}
    reader = k.file("reader.conf", json.dumps(config))
    k.fails(f'User "{yes}" cannot list resource "pods"', "--kubeconfig", reader, "get", "pods")
    k.ok("delete", "csr", yes, no)


@cell("top nodes, pods")
def top(k):
    k.until(r"(?s)(^\S+\s+\d+m\s+\d+%\s+\d+Mi\s+\d+%\s*){2}", "top", "nodes", "--no-headers")
    t = k.table("top", "nodes")
    check([c.rstrip(")").replace("(", "") for c in t.columns] in (["NAME", "CPUcores", "CPU%", "MEMORYbytes", "MEMORY%"],), f"{t.columns}")
    k.until(r"^shell\s+\d+m\s+\d+Mi", "top", "pods")
    names = [r["NAME"] for r in k.table("top", "pods", "--sort-by=memory").rows]
    check({"talker", "shell"} <= set(names) and "stuck" not in names, f"{names}")
    t = k.table("top", "pod", "talker", "--containers")
    check(t.columns == ["POD", "NAME", "CPU(cores)", "MEMORY(bytes)"] and sorted(r["NAME"] for r in t.rows) == ["loud", "quiet"], f"{t.rows}")
    k.ok("top", "pods", "-l", "app=shell", "--no-headers", has=r"^shell\s+\d+m\s+\d+Mi\s*$", lacks="talker")
    k.ok("top", "pods", "-A", has=rf"^{k.ns}\s+shell\s")
    k.fails(r'pods "?nobody"? not found|(podmetrics|pods).metrics.k8s.io ".*nobody" not found', "top", "pod", "nobody")


@cell("events", since=26)
def events(k):
    k.ok("events", has=[r"^LAST SEEN\s+TYPE\s+REASON\s+OBJECT\s+MESSAGE$", "Scheduled"])
    k.ok("events", "--for=pod/talker", has=[r"Started\s+Pod/talker"], lacks="Pod/crasher")
    k.ok("events", "--types=Warning", has=r"Warning\s+BackOff\s+Pod/crasher", lacks=r"\sNormal\s")
    with k.start("events", "--watch", "--for=pod/late") as w:
        k.ok("run", "late", "--image=busybox", "--image-pull-policy=IfNotPresent", "--restart=Never", "--", "true")
        w.expect(r"Scheduled\s+Pod/late")
        w.interrupt()
    k.ok("delete", "pod", "late")


@cell("wait")
def wait(k):
    k.says("pod/talker condition met", "wait", "--for=condition=Ready", "pod/talker")
    k.says("deployment.apps/web condition met", "wait", "--for=condition=available", "deployment/web", "--timeout=80s")
    k.says("job.batch/once condition met", "wait", "--for=condition=complete", "job/once", "--timeout=80s")
    k.ok("wait", "--for=condition=Ready", "pod", "-l", "level", has=["^pod/talker condition met$", "^pod/shell condition met$"])
    k.fails("timed out waiting for the condition", "wait", "--for=condition=Ready", "pod/stuck", "--timeout=1s")
    k.ok("create", "configmap", "passing", "--from-literal=a=b")
    with k.start("wait", "-v=6", "--for=delete", "configmap/passing", "--timeout=80s") as w:
        w.expect("watch=true")   # an older kubectl fails when nothing is there to wait for
        k.ok("delete", "configmap", "passing")
        w.ended(0)


@cell("wait --for=jsonpath", since=23)
def wait_jsonpath(k):
    k.says("pod/talker condition met", "wait", "--for=jsonpath={.status.phase}=Running", "pod/talker", "--timeout=80s")
    k.ok("create", "configmap", "coming", "--from-literal=a=b")
    with k.start("wait", "--for=jsonpath={.data.a}=c", "cm/coming", "--timeout=80s") as w:
        k.ok("patch", "cm", "coming", "--type=merge", "-p", '{"data":{"a":"c"}}')
        w.ended(0)


@cell("wait --for=create", since=31)
def wait_create(k):
    with k.start("wait", "--for=create", "cm/awaited", "--timeout=80s") as w:
        k.ok("create", "configmap", "awaited")
        w.ended(0)


@cell("delete: by name, label, file, all; cascade")
def delete(k):
    k.ok("delete", "cm", "made", has='^configmap "made" deleted')
    k.fails(r'^Error from server \(NotFound\): configmaps "made" not found$', "delete", "cm", "made")
    k.says("", "delete", "cm", "made", "--ignore-not-found")
    k.ok("create", "cm", "red")
    k.ok("label", "cm", "red", "gone=soon")
    k.ok("delete", "cm", "-l", "gone=soon", has='^configmap "red" deleted')
    k.ok("delete", "-f", "-", input="{apiVersion: v1, kind: ConfigMap, metadata: {name: tray}}", has='^configmap "tray" deleted')
    k.ok("delete", "hpa", "--all")
    k.ok("delete", "job", "hello", has='^job.batch "hello" deleted')
    k.until("^$", "get", "pods", "-l", "job-name=hello", "-o", "name")
    k.ok("scale", "deploy/web", "--replicas=1")
    k.ok("delete", "deploy", "web", "--cascade=orphan", has='^deployment.apps "web" deleted')
    rs = k.ok("get", "rs", "-l", "app=web", "-o", "name").split()
    check(rs and all(not k.get(name, ".metadata.ownerReferences") for name in rs), f"orphans {rs}")
    k.ok("delete", "rs", "-l", "app=web", "--cascade=foreground" if k.minor >= 20 else "--cascade=true")
    k.until("^$", "get", "pods", "-l", "app=web", "-o", "name")


@cell("delete --wait=false, --grace-period, --force")
def delete_force(k):
    slow = "{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {terminationGracePeriodSeconds: 600, containers: [{name: main, image: busybox, " \
           "imagePullPolicy: IfNotPresent, command: [sh, -c, 'trap : TERM; while :; do sleep 1; done']}]}}"
    k.apply(slow % "slow")
    k.apply(slow % "slower")
    k.ok("wait", "--for=condition=Ready", "pod/slow", "pod/slower", "--timeout=80s")
    k.ok("delete", "pod", "slow", "--wait=false", has='^pod "slow" deleted')
    k.until(r"slow\s+1/1\s+Terminating", "get", "pod", "slow")
    r = k.run("delete", "pod", "slow", "--grace-period=0", "--force")
    check(r.code == 0 and re.search('pod "slow" force deleted', r.out) and "Immediate deletion does not wait for confirmation" in r.err, f"{r}")
    k.fails("NotFound", "get", "pod", "slow")
    k.ok("delete", "pod", "slower", "--grace-period=1", has='^pod "slower" deleted', limit=60)   # waits until it is gone
    k.fails("NotFound", "get", "pod", "slower")


@cell("delete all --all, namespace")
def delete_all(k):
    k.ok("delete", "pods,deployments,daemonsets,jobs", "--all", has=['^pod "talker" (force )?deleted', '^daemonset.apps "everywhere" deleted'])
    k.until("^$", "get", "pods", "-o", "name")
    k.ok("delete", "ns", k.ns, has=f'^namespace "{k.ns}" deleted')
    k.fails(f'namespaces "{k.ns}" not found', "get", "ns", k.ns)
