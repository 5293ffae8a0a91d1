"""schemagen: the Kubernetes API's own definitions in, one compact schema blob out.

    python3 tools/schemagen --gocode DIR --overlay FILE... --out FILE

DIR is usr/share/gocode/src of tools/fetch-k8s-protos. An overlay file describes types no package carries (see
overlay.py). Anything the generator does not understand stops the build: nothing is left out silently.
"""

import argparse
import glob
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import blob, gotypes, overlay, proto    # noqa: E401,E402

META = "k8s.io.apimachinery.pkg.apis.meta.v1"
SPECIAL = {
    "k8s.io.apimachinery.pkg.api.resource.Quantity": "quantity",
    f"{META}.Time": "time",
    f"{META}.MicroTime": "microtime",
    f"{META}.Duration": "duration",
    f"{META}.FieldsV1": "fieldsv1",
    f"{META}.Verbs": "stringlist",
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": "intorstring",
    "k8s.io.apimachinery.pkg.runtime.RawExtension": "rawextension",
}
UNUSED = {f"{META}.Timestamp", f"{META}.TypeMeta"}
# Versions that a 1.32 API server no longer serves, or never serves without asking.
SKIP = re.compile(r"alpha|/extensions/|/imagepolicy/|/apps/v1beta|/autoscaling/v2beta|/batch/v1beta|"
                  r"/flowcontrol/v1beta[12]|/apiserverinternal/|/storagemigration/")

# Types of a beta that a later release serves in v1 as they are. What v1 has changed stands in an overlay.
GRADUATED = {
    "k8s.io/api/networking/v1beta1": r"(IPAddress|ServiceCIDR)(List|Spec|Status)?|ParentReference",
    "k8s.io/api/storage/v1beta1": r"VolumeAttributesClass(List)?",
    "k8s.io/api/admissionregistration/v1alpha1":
        r"MutatingAdmissionPolicy(Binding)?(List|Spec)?|Mutation|ApplyConfiguration|JSONPatch",
    "k8s.io/api/resource/v1beta1": r"(?!BasicDevice$|Device$|DeviceRequest$).*",
}


class Generator:
    def __init__(self, root):
        self.root, self.packages, self.types, self.kinds = root, {}, [], []

    def package(self, path):
        if path not in self.packages:
            self.packages[path] = gotypes.read(self.root, path)
        return self.packages[path]

    def run(self):
        pattern = os.path.join(self.root, "k8s.io", "api", "*", "*", "generated.proto")
        paths = [os.path.relpath(os.path.dirname(p), self.root) for p in sorted(glob.glob(pattern))]
        paths += ["k8s.io/apimachinery/pkg/apis/meta/v1", "k8s.io/metrics/pkg/apis/metrics/v1beta1"]
        for path in paths:
            if not SKIP.search(path):
                for message in proto.read(os.path.join(self.root, path, "generated.proto")):
                    self.add(path, message)

    def graduate(self, path, wanted):
        types, kinds = len(self.types), len(self.kinds)
        for message in proto.read(os.path.join(self.root, path, "generated.proto")):
            if re.fullmatch(wanted, message.name.rsplit(".", 1)[1]):
                self.add(path, message)
        old = path.rsplit("/", 1)[1]
        package = path.replace("k8s.io/", "k8s.io.", 1).replace("/", ".")
        stable = package[:-len(old)] + "v1"

        def renamed(name):
            return stable + name[len(package):] if name.startswith(package + ".") else name
        for t in self.types[types:]:
            t["name"] = renamed(t["name"])
            for f in t["fields"]:
                f["message"], f["go_type"] = renamed(f["message"]), f["go_type"].replace(old + ".", "v1.")
        self.kinds[kinds:] = [(group, "v1", short, renamed(name)) for group, _, short, name in self.kinds[kinds:]]

    def extend(self, name, fields):
        """Fields that a later release added to a type."""
        found = [t for t in self.types if t["name"] == name]
        if not found:
            raise SystemExit(f"schemagen: an overlay extends {name}, which is not there")
        taken = {f["number"] for f in found[0]["fields"]} - {0}
        if twice := taken & {f["number"] for f in fields}:
            raise SystemExit(f"schemagen: {name} has fields {twice} already")
        found[0]["fields"] += fields

    def add(self, path, message):
        short = message.name.rsplit(".", 1)[1]
        if message.name in SPECIAL or message.name in UNUSED or self.is_string_list(message.name):
            return
        package = self.package(path)
        owner, struct = self.struct(package, short)
        if struct is None:
            raise SystemExit(f"schemagen: {message.name} has no Go struct in {path}/types.go")
        by_number = {f.number: f for f in message.fields}
        fields = []
        for go in struct.fields:
            if "inline" in go.json_options and go.go_type.endswith("TypeMeta"):
                fields += [type_meta_field("kind"), type_meta_field("apiVersion")]
                self.kinds.append((package.group, path.rsplit("/", 1)[1], short, message.name))
            elif go.number in by_number and go.json_name != "-":
                fields.append(self.field(owner, go, by_number.pop(go.number)))
        if by_number:
            raise SystemExit(f"schemagen: {message.name}: no Go field for {', '.join(f.name for f in by_number.values())}")
        atomic = gotypes.markers(struct.comments).get("structType") == ["atomic"]
        self.types.append({"name": message.name, "doc": gotypes.prose(struct.comments), "fields": fields,
                           "atomic": atomic})

    def struct(self, package, name):
        """The struct behind a name, through `type X other.Y`."""
        if name in package.structs:
            return package, package.structs[name]
        definition = package.named.get(name, ("", []))[0]
        if "." in definition:
            alias, target = definition.split(".")
            return self.struct(self.package(package.imports[alias]), target)
        return package, None

    def is_string_list(self, name):
        head, short = name.rsplit(".", 1)
        if not head.startswith("k8s.io.api."):
            return False
        path = "k8s.io/" + head[len("k8s.io."):].replace(".", "/")
        return self.package(path).named.get(short, ("", []))[0] == "[]string"

    def field(self, package, go, wire):
        marks = gotypes.markers(go.comments)
        base, message = wire.type, ""
        if wire.type not in proto.SCALARS:
            base = SPECIAL.get(wire.type) or ("stringlist" if self.is_string_list(wire.type) else "message")
            message = wire.type if base == "message" else ""
        omit = "omitempty" in go.json_options
        inlined = "inline" in go.json_options or (not go.go_name and not go.json_name)
        flags = (blob.REPEATED * (wire.label == "repeated") | blob.MAP * (wire.label == "map") | blob.INLINED * inlined |
                 blob.OMIT_EMPTY * omit | blob.POINTER * go.go_type.startswith("*") |
                 blob.REQUIRED * (not omit and "optional" not in marks and not inlined))
        values, value_doc = self.enum(package, go.go_type)
        doc = gotypes.prose(go.comments) + value_doc
        return {
            "name": go.json_name or go.proto_name or wire.name, "number": wire.number, "base": base, "message": message,
            "flags": flags, "go_type": qualified(package, go.go_type),
            "patch_strategy": go.tags.get("patchStrategy", ""), "merge_key": go.tags.get("patchMergeKey", ""),
            "list_type": marks.get("listType", marks.get("mapType", marks.get("structType", [""])))[0],
            "list_map_keys": ",".join(marks.get("listMapKey", [])),
            "default": self.default(package, marks), "enum": ",".join(values), "doc": doc,
        }

    def default(self, package, marks):
        text = marks.get("default", [""])[0]
        if match := re.match(r"ref\((\w+)\)", text):
            source = open(os.path.join(self.root, package.path, "types.go"), encoding="utf-8").read()
            return re.search(rf'\b{match[1]}\s+\w+\s*=\s*("[^"]*")', source)[1]
        return text

    def enum(self, package, go_type):
        """Values of a +enum type, sorted, and the paragraph that describes them."""
        name = go_type.lstrip("*[]")
        if "." in name:
            alias, name = name.split(".")
            path = package.imports.get(alias, "")
            if not path.startswith("k8s.io/") or not os.path.isdir(os.path.join(self.root, path)):
                return [], ""
            package = self.package(path)
        comments = package.named.get(name, ("", []))[1]
        if "enum" not in gotypes.markers(comments):
            return [], ""
        # "PullAlways means that ..." reads "`"Always"` means that ...".
        docs = {value: gotypes.prose(doc).removeprefix(constant).strip()
                for constant, kind, value, doc in package.constants if kind == name}
        lines = [f' - `"{value}"`' + (f" {docs[value]}" if docs[value] else "") for value in sorted(docs)]
        return sorted(docs), "\n\nPossible enum values:\n" + "\n".join(lines)


def qualified(package, go_type):
    """A Go type as encoding/json names it: pointers dropped, names with their package's name."""
    def name(match):
        word = match[0]
        if "." in word:
            alias, rest = word.split(".")
            return package.imports.get(alias, alias).rsplit("/", 1)[-1] + "." + rest
        return f"{package.path.rsplit('/', 1)[-1]}.{word}" if word[0].isupper() else word
    return re.sub(r"[A-Za-z][\w.]*", name, go_type.lstrip("*"))


def type_meta_field(name):
    doc = {
        "kind": "Kind is a string value representing the REST resource this object represents. Servers may infer this "
                "from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: "
                "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
        "apiVersion": "APIVersion defines the versioned schema of this representation of an object. Servers should "
                      "convert recognized schemas to the latest internal value, and may reject unrecognized values. More "
                      "info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
    }[name]
    return {"name": name, "number": 0, "base": "string", "message": "", "flags": blob.OMIT_EMPTY, "go_type": "string",
            "patch_strategy": "", "merge_key": "", "list_type": "", "list_map_keys": "", "default": "", "enum": "",
            "doc": doc}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gocode", required=True)
    parser.add_argument("--overlay", action="append", default=[])
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    generator = Generator(args.gocode)
    generator.run()
    for path, wanted in GRADUATED.items():
        generator.graduate(path, wanted)
    for path in args.overlay:
        types, kinds, extensions = overlay.read(path, type_meta_field)
        generator.types += types
        generator.kinds += kinds
        for name, fields in extensions:
            generator.extend(name, fields)
    known = {t["name"] for t in generator.types}
    missing = {f["message"] for t in generator.types for f in t["fields"] if f["message"]} - known
    if missing:
        raise SystemExit(f"schemagen: types that are used and not described: {', '.join(sorted(missing))}")
    size = blob.write(args.out, generator.types, generator.kinds)
    print(f"schema: {len(generator.types)} types, {len(generator.kinds)} kinds, {size // 1024} KiB")


main()
