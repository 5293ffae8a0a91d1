#!/usr/bin/python3
"""What charts and operators bring along, on a real lab: an admission webhook, a conversion webhook and an aggregated API,
all answered by one pod behind a Service. The steps run in the lab of tools.py; by themselves they start one of their own."""
import base64
import json
import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../lib"))
from labtest import Lab, check, main, needed, run, wait_for  # noqa: E402

# What runs in the pod: the machine's own Python, over its libraries.
SERVER = '''
import base64, http.server, json, ssl
RESOURCES = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "e2e.example.com/v1", "resources": [
    {"name": "echoes", "singularName": "echo", "namespaced": False, "kind": "Echo", "verbs": ["get"]}]}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path.count("/") < 4:
            return self.answer(RESOURCES)
        self.answer({"kind": "Echo", "apiVersion": "e2e.example.com/v1", "metadata": {"name": self.path.split("/")[-1]},
                     "user": self.headers["X-Remote-User"]})

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request, path = review.pop("request"), self.path.split("?")[0]
        response = {"uid": request["uid"], "allowed": True}
        if path == "/deny" and request["object"]["metadata"]["name"] == "unwanted":
            response |= {"allowed": False, "status": {"message": "nobody wants it"}}
        if path == "/label":
            patch = [{"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}]
            response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
        if path == "/convert":
            for o in request["objects"]:
                o["apiVersion"] = request["desiredAPIVersion"]
                o.setdefault("spec", {})["converted"] = request["desiredAPIVersion"]
            response = {"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": request["objects"]}
        self.answer(review | {"response": response})

    def log_message(self, *_):
        pass

tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server = http.server.ThreadingHTTPServer(("", 8443), Handler)
server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
'''
NS = "hooks"


def _apply(lab, *objects):
    return lab.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def _service(path):
    return {"namespace": NS, "name": "server", "path": path}


def _configuration(kind, path, ca, **more):
    return {"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "e2e-" + path.strip("/")},
            "webhooks": [{"name": path.strip("/") + ".e2e.example.com", "clientConfig": {"service": _service(path), "caBundle": ca},
                          "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
                          "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NS}},
                          "admissionReviewVersions": ["v1"], "sideEffects": "None"} | more]}


def _fails(lab, *args):
    done = lab.kubectl(*args, check=False)
    check(done.returncode != 0, f"{args} was allowed: {done.stdout}")
    return done.stderr


@needed
def a_server_behind_a_service(lab):
    with tempfile.TemporaryDirectory() as d:
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=server", "-addext", f"subjectAltName=DNS:server.{NS}.svc", "-keyout", f"{d}/k", "-out", f"{d}/c")
        files = {"tls.key": open(f"{d}/k").read(), "tls.crt": open(f"{d}/c").read()}
    lab.ca = base64.b64encode(files["tls.crt"].encode()).decode()
    loader = "/usr" + os.path.realpath("/lib64/ld-linux-x86-64.so.2").removeprefix("/usr")
    host = {"name": "usr", "hostPath": {"path": "/usr"}}
    _apply(lab, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NS}})
    _apply(lab,
           {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "server", "namespace": NS}, "stringData": files},
           {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "server", "namespace": NS}, "data": {"server.py": SERVER}},
           {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server", "namespace": NS},
            "spec": {"selector": {"app": "server"}, "ports": [{"port": 443, "targetPort": 8443}]}},
           {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "server", "namespace": NS, "labels": {"app": "server"}},
            "spec": {"nodeName": "node2", "terminationGracePeriodSeconds": 0,
                     "containers": [{"name": "c", "image": "busybox",
                                     "command": [loader, "--library-path", os.path.dirname(loader), "/usr/bin/python3", "/srv/server.py"],
                                     "volumeMounts": [{"name": "usr", "mountPath": "/usr", "readOnly": True},
                                                      {"name": "srv", "mountPath": "/srv"}, {"name": "tls", "mountPath": "/tls"}],
                                     "readinessProbe": {"tcpSocket": {"port": 8443}, "periodSeconds": 1}}],
                     "volumes": [host, {"name": "srv", "configMap": {"name": "server"}},
                                 {"name": "tls", "secret": {"secretName": "server"}}]}})
    lab.kubectl("wait", "--for=condition=Ready", "-n", NS, "pod/server", "--timeout=120s")


def admission_webhooks_change_and_refuse(lab):
    _apply(lab, _configuration("MutatingWebhookConfiguration", "/label", lab.ca),
           _configuration("ValidatingWebhookConfiguration", "/deny", lab.ca))
    said = _fails(lab, "create", "configmap", "-n", NS, "unwanted")
    check('admission webhook "deny.e2e.example.com" denied the request: nobody wants it' in said, said)
    lab.kubectl("create", "configmap", "-n", NS, "wanted")
    check(lab.get("configmap", "-n", NS, "wanted")["metadata"]["labels"] == {"seen": "yes"}, "it was not changed")
    lab.kubectl("create", "configmap", "unwanted")  # in a namespace that is not meant
    lab.kubectl("delete", "configmap", "unwanted")


def an_aggregated_api_is_discovered_and_asked(lab):
    _apply(lab, {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.e2e.example.com"},
                 "spec": {"group": "e2e.example.com", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 10,
                          "service": {"namespace": NS, "name": "server"}, "caBundle": lab.ca}})
    lab.kubectl("wait", "--for=condition=Available", "apiservice/v1.e2e.example.com", "--timeout=60s")
    check("echoes" in lab.kubectl("api-resources", "--api-group=e2e.example.com"), "it is not discovered")
    check(lab.get("echoes", "one")["user"] == "kubernetes-admin", json.dumps(lab.get("echoes", "one")))


def custom_resources_are_converted(lab):
    spec = {"type": "object", "properties": {"a": {"type": "integer"}, "converted": {"type": "string"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    _apply(lab, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.conv.example.com"},
                 "spec": {"group": "conv.example.com", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
                          "versions": [{"name": v, "served": True, "storage": v == "v1", "schema": schema} for v in ("v1", "v2")],
                          "conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {
                              "service": _service("/convert"), "caBundle": lab.ca}}}}})
    lab.kubectl("wait", "--for=condition=Established", "crd/things.conv.example.com", "--timeout=60s")
    wait_for("the new kind", lambda: _apply(lab, {"apiVersion": "conv.example.com/v1", "kind": "Thing",
                                                  "metadata": {"name": "t", "namespace": NS}, "spec": {"a": 1}}))
    spec = lab.get("things.v2.conv.example.com", "-n", NS, "t")["spec"]
    check(spec == {"a": 1, "converted": "conv.example.com/v2"}, json.dumps(spec))
    check(lab.get("things.v1.conv.example.com", "-n", NS, "t")["spec"] == {"a": 1}, "the stored one was changed")


def without_their_server_each_says_so(lab):
    lab.kubectl("delete", "pod", "-n", NS, "server", "--wait=true")
    wait_for("no endpoints", lambda: 'no endpoints available for service "server"' in _fails(lab, "create", "configmap", "-n", NS, "x"))
    said = _fails(lab, "create", "configmap", "-n", NS, "x")
    check('failed calling webhook "label.e2e.example.com": failed to call webhook: Post "https://server.hooks.svc:443/label' in said, said)
    said = _fails(lab, "get", "things.v2.conv.example.com", "-n", NS)
    check("conversion webhook for conv.example.com/v1, Kind=Thing failed" in said, said)
    wait_for("unavailable", lambda: "False" in lab.kubectl("get", "apiservice", "v1.e2e.example.com"))


def nothing_of_it_is_left(lab):
    lab.kubectl("delete", "apiservice/v1.e2e.example.com", "mutatingwebhookconfiguration/e2e-label",
                "validatingwebhookconfiguration/e2e-deny", "crd/things.conv.example.com")
    lab.kubectl("delete", "namespace", NS)  # waits: whatever was in it can be found and deleted


STEPS = [a_server_behind_a_service, admission_webhooks_change_and_refuse, an_aggregated_api_is_discovered_and_asked,
         custom_resources_are_converted, without_their_server_each_says_so, nothing_of_it_is_left]

if __name__ == "__main__":
    @needed
    def a_lab(lab):
        lab.start()
    main([a_lab] + STEPS, Lab(2))
