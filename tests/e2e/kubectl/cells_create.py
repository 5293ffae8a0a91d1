"""Creating: the generators of kubectl create, files, dry runs, strict validation."""
import json

from harness import cell, check


def made(k, kind, name, *args):
    """kubectl create ARGS... says that it made the object."""
    k.says(f"{kind}/{name} created", "create", *args)


@cell("create deployment")
def deployment(k):
    made(k, "deployment.apps", "plain", "deployment", "plain", "--image=busybox:latest", "--replicas=0", "--port=80")
    k.says("plain busybox:latest 0 80", "get", "deploy", "plain", "-o",
           "jsonpath={.metadata.labels.app} {..image} {.spec.replicas} {..containerPort}")


@cell("create configmap")
def configmap(k):
    k.file("colours.txt", "red\ngreen\n")
    made(k, "configmap", "made", "configmap", "made", "--from-literal=a=1", "--from-file=" + k.file("colours.txt"))
    k.says("1 red\ngreen", "get", "cm", "made", "-o", r"jsonpath={.data.a} {.data.colours\.txt}")
    k.file("binary", b"\xff\x00\xfe")
    made(k, "configmap", "raw", "cm", "raw", "--from-file=" + k.file("binary"))
    k.says("/wD+", "get", "cm", "raw", "-o", "jsonpath={.binaryData.binary}")


@cell("create secret generic, tls, docker-registry")
def secrets(k):
    made(k, "secret", "key", "secret", "generic", "key", "--from-literal=k=v")
    k.says("dg== Opaque", "get", "secret", "key", "-o", "jsonpath={.data.k} {.type}")
    made(k, "secret", "pull", "secret", "docker-registry", "pull", "--docker-username=u", "--docker-password=p", "--docker-server=r.example")
    k.says("kubernetes.io/dockerconfigjson", "get", "secret", "pull", "-o", "jsonpath={.type}")
    import subprocess
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=x",
                    "-keyout", k.file("tls.key"), "-out", k.file("tls.crt")], check=True, capture_output=True, timeout=60)
    made(k, "secret", "site", "secret", "tls", "site", "--cert=" + k.file("tls.crt"), "--key=" + k.file("tls.key"))
    check(k.table("get", "secret", "site").rows[0]["TYPE"] == "kubernetes.io/tls", "type of a TLS secret")


@cell("create service clusterip, nodeport, loadbalancer, externalname")
def service(k):
    made(k, "service", "inner", "service", "clusterip", "inner", "--tcp=80:8080")
    made(k, "service", "outer", "service", "nodeport", "outer", "--tcp=80:8080")
    made(k, "service", "balanced", "service", "loadbalancer", "balanced", "--tcp=80:8080")
    made(k, "service", "elsewhere", "service", "externalname", "elsewhere", "--external-name=example.org")
    made(k, "service", "headless", "service", "clusterip", "headless", "--clusterip=None")
    k.ok("get", "svc", has=[r"^inner\s+ClusterIP\s+10\.\S+\s+<none>\s+80/TCP\s", r"^outer\s+NodePort\s+10\.\S+\s+<none>\s+80:3[0-2]\d\d\d/TCP",
                            r"^balanced\s+LoadBalancer\s+10\.\S+\s+<pending>\s+80:3", r"^elsewhere\s+ExternalName\s+<none>\s+example.org\s+<none>",
                            r"^headless\s+ClusterIP\s+None\s"])
    k.fails("provided IP is not in the valid range|is invalid", "create", "service", "clusterip", "wrong", "--tcp=1:1", "--clusterip=1.2.3.4")
    k.ok("delete", "svc", "inner", "outer", "balanced", "elsewhere", "headless")


@cell("create job")
def job(k):
    made(k, "job.batch", "hello", "job", "hello", "--image=busybox:latest", "--", "echo", "hi")
    k.says('["echo","hi"]', "get", "job", "hello", "-o", "jsonpath={..command}")


@cell("create cronjob, job --from", since=21)   # 1.20 makes batch/v1beta1, gone since Kubernetes 1.25
def cronjob(k):
    made(k, "cronjob.batch", "nightly", "cronjob", "nightly", "--image=busybox:latest", "--schedule=0 3 * * *", "--", "echo", "night")
    row = k.table("get", "cronjob", "nightly").rows[0]
    check(row["SCHEDULE"] == "0 3 * * *" and row["SUSPEND"] == "False" and row["LAST SCHEDULE"] == "<none>", f"{row}")
    made(k, "job.batch", "tonight", "job", "tonight", "--from=cronjob/nightly")
    k.says("CronJob nightly", "get", "job", "tonight", "-o", "jsonpath={.metadata.ownerReferences[0].kind} {.metadata.ownerReferences[0].name}")
    k.fails("is invalid", "create", "cronjob", "wrong", "--image=x", "--schedule=whenever")


@cell("create serviceaccount, role, rolebinding")
def role(k):
    made(k, "serviceaccount", "robot", "serviceaccount", "robot")
    made(k, "role.rbac.authorization.k8s.io", "looker", "role", "looker", "--verb=get,list,watch", "--resource=pods,deployments.apps")
    made(k, "rolebinding.rbac.authorization.k8s.io", "robot-looks", "rolebinding", "robot-looks", "--role=looker", f"--serviceaccount={k.ns}:robot")
    row = k.table("get", "rolebinding", "robot-looks", "-o", "wide").rows[0]
    check(row["ROLE"] == "Role/looker" and row["SERVICEACCOUNTS"] == f"{k.ns}/robot", f"{row}")
    k.ok("describe", "role", "looker", has=[r"^\s+pods\s+\[\]\s+\[\]\s+\[get list watch\]", r"^\s+deployments\.apps\s"])


@cell("create clusterrole, clusterrolebinding")
def clusterrole(k):
    made(k, "clusterrole.rbac.authorization.k8s.io", k.ns, "clusterrole", k.ns, "--verb=get", "--non-resource-url=/metrics")
    made(k, "clusterrolebinding.rbac.authorization.k8s.io", k.ns, "clusterrolebinding", k.ns, f"--clusterrole={k.ns}", "--group=readers")
    k.ok("describe", "clusterrolebinding", k.ns, has=[r"^\s+Kind:\s+ClusterRole$", r"^\s+Group\s+readers"])
    k.ok("delete", "clusterrolebinding,clusterrole", k.ns, has=[f'^clusterrole.rbac.authorization.k8s.io "{k.ns}" deleted'])


@cell("create quota")
def quota(k):
    k.ok("create", "quota", "limits", "--hard=configmaps=4,pods=100", has="^resourcequota/limits created$")
    try:
        k.until("4", "get", "quota", "limits", "-o", "jsonpath={.status.hard.configmaps}")
        k.ok("describe", "quota", "limits", has=[r"^Name:\s+limits$", rf"^Namespace:\s+{k.ns}$", r"^configmaps\s+[4-9]\s+4$", r"^pods\s+\d+\s+100$"])
        k.fails("exceeded quota: limits, requested: configmaps=1, used: configmaps=[4-9], limited: configmaps=4", "create", "configmap", "one-more")
    finally:
        k.ok("delete", "quota", "limits")   # it would forbid what follows


@cell("create priorityclass")
def priorityclass(k):
    made(k, "priorityclass.scheduling.k8s.io", k.ns, "priorityclass", k.ns, f"--value={1000 + k.minor}", "--description=for a test")
    check(k.table("get", "pc", k.ns).rows[0]["VALUE"] == str(1000 + k.minor), "value of the priority class")
    k.ok("delete", "pc", k.ns)


@cell("create poddisruptionbudget", since=21)   # 1.20 makes policy/v1beta1
def pdb(k):
    made(k, "poddisruptionbudget.policy", "web", "pdb", "web", "--selector=app=web", "--min-available=1")
    k.until(r"^web\s+1\s+N/A\s+1\s", "get", "pdb", "web")
    k.ok("describe", "pdb", "web", has=[r"^Min available:\s+1$", r"^\s+Allowed disruptions:\s+1$", r"^\s+Current:\s+2$"])
    k.ok("delete", "pdb", "web")


@cell("create ingress")
def ingress(k):
    made(k, "ingress.networking.k8s.io", "door", "ingress", "door", "--rule=shop.example/*=web:80", "--class=front")
    row = k.table("get", "ingress", "door").rows[0]
    check((row["CLASS"], row["HOSTS"], row["PORTS"]) == ("front", "shop.example", "80"), f"{row}")


@cell("create -f, --dry-run=client")
def create_file(k):
    manifest = k.ok("create", "configmap", "drawn", "--from-literal=a=1", "--dry-run=client", "-o", "yaml", has=["^kind: ConfigMap$", "^  a: .1.$"])
    k.ok("create", "-f", "-", input=manifest, has="^configmap/drawn created$")
    k.fails(r'^Error from server \(AlreadyExists\): error when creating "STDIN": configmaps "drawn" already exists$', "create", "-f", "-", input=manifest)
    k.says("configmap/other created (dry run)", "create", "configmap", "other", "--dry-run=client")
    out = k.ok("create", "-f", "-", "-o", "name", input='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"many-"}}')
    check(out.startswith("configmap/many-") and len(out.strip()) == len("configmap/many-") + 5, out)


@cell("--dry-run=server")
def dry_run(k):
    k.says("configmap/nothing created (server dry run)", "create", "configmap", "nothing", "--dry-run=server")
    k.fails("NotFound", "get", "configmap", "nothing")
    k.fails("""configmaps "settings" already exists""", "create", "configmap", "settings", "--dry-run=server")
    k.says("configmap/settings configured (server dry run)", "apply", "--dry-run=server", "-f", "-",
           input="{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {colour: red}}")
    k.ok("delete", "cm", "settings", "--dry-run=server", has=r'^configmap "settings" deleted.*\(server dry run\)$')
    k.says("blue", "get", "cm", "settings", "-o", "jsonpath={.data.colour}")
    service = json.loads(k.ok("create", "service", "nodeport", "ghost", "--tcp=80:80", "--dry-run=server", "-o", "json"))
    check(service["spec"]["clusterIP"].startswith("10."), "a server's dry run gives an address")


@cell("validation of manifests")
def validation(k):
    unknown = "{apiVersion: v1, kind: ConfigMap, metadata: {name: odd}, dota: {a: b}}"
    wrong = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: odd}, spec: {replicas: many}}"
    k.fails(r'unknown field "dota"', "create", "-f", "-", input=unknown)
    k.fails(r'unknown field "dota"', "apply", "-f", "-", input=unknown)
    k.fails("replicas|invalid type", "create", "-f", "-", input=wrong)
    k.fails(r'no matches for kind "Nonsense" in version "v1"', "apply", "-f", "-", input="{apiVersion: v1, kind: Nonsense, metadata: {name: odd}}")
    r = k.fails(r'^The Deployment "odd" is invalid: ', "create", "-f", "-",
                input="{apiVersion: apps/v1, kind: Deployment, metadata: {name: odd}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: "
                      "{labels: {a: c}}, spec: {containers: [{name: main, image: busybox}]}}}}")
    check("`selector` does not match template `labels`" in r.err, f"{r}")
    k.fails(r'ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": a lowercase RFC 1123 subdomain must consist of',
            "create", "configmap", "Not_A_Name")
    k.ok("create", "--validate=false", "-f", "-", input=unknown, has="^configmap/odd created$")
