"""The life of a Deployment: history, undo, restart, pause; expose and reach it."""
import re
from urllib.request import urlopen

from harness import cell, check


@cell("rollout status, history")
def rollout(k):
    k.ok("annotate", "deploy", "web", "kubernetes.io/change-cause=first")
    k.ok("set", "image", "deploy/web", "httpd=docker.io/library/busybox:latest")
    k.ok("annotate", "deploy", "web", "kubernetes.io/change-cause=second", "--overwrite")
    k.ok("rollout", "status", "deployment/web", "--timeout=80s", has='^deployment "web" successfully rolled out$')
    k.ok("rollout", "history", "deploy/web", has=[r"^deployment.apps/web", r"^REVISION\s+CHANGE-CAUSE$", r"^1\s+first$", r"^2\s+second$"])
    k.ok("rollout", "history", "deploy/web", "--revision=1", has=[r"^deployment.apps/web with revision #1$", r"Image:\s+busybox:latest$"])


@cell("rollout undo")
def undo(k):
    k.says("deployment.apps/web rolled back", "rollout", "undo", "deployment/web")
    k.ok("rollout", "status", "deploy/web", "--timeout=80s")
    k.says("busybox:latest", "get", "deploy", "web", "-o", "jsonpath={..image}")
    k.ok("rollout", "history", "deploy/web", has=[r"^2\s+second$", r"^3\s+first$"], lacks=r"^1\s")
    k.says("deployment.apps/web rolled back", "rollout", "undo", "deployment/web", "--to-revision=2")
    k.ok("rollout", "status", "deploy/web", "--timeout=80s")
    k.says("docker.io/library/busybox:latest", "get", "deploy", "web", "-o", "jsonpath={..image}")
    k.fails("unable to find specified revision 77 in history", "rollout", "undo", "deploy/web", "--to-revision=77")


@cell("rollout restart")
def restart(k):
    before = set(k.ok("get", "pods", "-l", "app=web", "-o", "name").split())
    k.says("deployment.apps/web restarted", "rollout", "restart", "deployment/web")
    k.ok("rollout", "status", "deploy/web", "--timeout=80s", has="successfully rolled out$")
    check(k.get("deploy/web", r".spec.template.metadata.annotations.kubectl\.kubernetes\.io/restartedAt").startswith("20"), "restartedAt")
    running = set(k.ok("get", "pods", "-l", "app=web", "--field-selector=status.phase=Running", "-o", "name").split())
    check(len(running - before) == 2, f"before {before}, after {running}")
    k.says("daemonset.apps/everywhere restarted", "rollout", "restart", "ds/everywhere")
    k.ok("rollout", "status", "ds/everywhere", "--timeout=80s", has='^daemon set "everywhere" successfully rolled out$')
    k.ok("rollout", "history", "ds/everywhere", has=[r"^1\s", r"^2\s"])
    k.says("daemonset.apps/everywhere rolled back", "rollout", "undo", "ds/everywhere")


@cell("rollout pause, resume")
def pause(k):
    k.says("deployment.apps/web paused", "rollout", "pause", "deployment/web")
    k.fails("is already paused", "rollout", "pause", "deployment/web")
    k.ok("set", "env", "deploy/web", "PAUSED=yes")
    k.fails('can.t restart paused deployment', "rollout", "restart", "deploy/web")
    k.says("deployment.apps/web resumed", "rollout", "resume", "deployment/web")
    k.ok("rollout", "status", "deploy/web", "--timeout=80s")
    names = k.ok("get", "pods", "-l", "app=web", "-o", r"jsonpath={range .items[*]}{.spec.containers[0].env[0].value}{'\n'}{end}").split()
    check("yes" in names, f"{names}")


@cell("rollout of a StatefulSet")
def stateful(k):
    k.apply("""
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: row}
spec:
  replicas: 2
  serviceName: row
  selector: {matchLabels: {app: row}}
  template:
    metadata: {labels: {app: row}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: "busybox:latest", imagePullPolicy: IfNotPresent, command: [sleep, "100000"]}]
""", has="^statefulset.apps/row created$")
    k.ok("rollout", "status", "sts/row", "--timeout=80s", has="2 pods at revision|rolling update complete|partitioned roll out complete")
    k.ok("get", "pods", "-l", "app=row", has=[r"^row-0\s+1/1", r"^row-1\s+1/1"])
    check(k.table("get", "sts").columns == ["NAME", "READY", "AGE"], "columns of statefulsets")
    k.says("statefulset.apps/row scaled", "scale", "sts/row", "--replicas=1")
    k.ok("wait", "--for=delete", "pod/row-1", "--timeout=80s")
    k.ok("delete", "sts", "row")


@cell("expose")
def expose(k):
    k.says("service/web exposed", "expose", "deployment", "web", "--port=80", "--target-port=8080")
    k.says('80 8080 {"app":"web"}', "get", "svc", "web", "-o", "jsonpath={.spec.ports[0].port} {.spec.ports[0].targetPort} {.spec.selector}")
    k.until(r"^web\s+10\.[\d.]+:8080,10\.[\d.]+:8080", "get", "endpoints", "web")
    k.says("service/shell exposed", "expose", "pod", "shell", "--port=9", "--type=NodePort")
    k.ok("get", "svc", "shell", has=r"^shell\s+NodePort\s+\S+\s+<none>\s+9:3")
    k.fails("AlreadyExists", "expose", "deployment", "web", "--port=80")
    with k.start("proxy", "--port=0") as p:   # through the API server, to a pod behind the service
        port = p.expect(r"Starting to serve on 127\.0\.0\.1:(\d+)").group(1)
        with urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/{k.ns}/services/web:80/proxy/", timeout=30) as r:
            check(r.read().startswith(b"web-"), "the service's answer")


@cell("port-forward")
def port_forward(k):
    pod = re.sub("^pod/", "", k.ok("get", "pods", "-l", "app=web", "--field-selector=status.phase=Running", "-o", "name").split()[0])
    for target, answer in [(f"pod/{pod}", pod), ("service/web", "web-"), ("deployment/web", "web-")]:
        with k.start("port-forward", target, ":80" if "service" in target else ":8080") as f:
            port = f.expect(r"^Forwarding from 127\.0\.0\.1:(\d+) -> 8080").group(1)
            for _ in range(3):
                with urlopen(f"http://127.0.0.1:{port}/index.html", timeout=30) as r:
                    body = r.read().decode()
                check(body.startswith(answer), f"{target} answered {body!r}")
            f.expect(r"Handling connection for ")
            f.interrupt()
    k.fails(r'Error from server \(NotFound\): pods "nobody" not found', "port-forward", "pod/nobody", ":80")
