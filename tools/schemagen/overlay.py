"""Reads overlay files: types of the API that no package carries, described by us.

    package k8s.io.kube_aggregator.pkg.apis.apiregistration.v1 group apiregistration.k8s.io
    use ObjectMeta k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta

    # What the type is for.
    kind APIService
      # What the field is for.
      metadata: 1 ObjectMeta omit optional
      labels: 2 map<string> omit

`kind` has apiVersion and kind and is served; `type` is a part of others; `extend` adds fields to a type that a package
carries. A field is `name: number type words...`, the
type a scalar, a special form (quantity, time, json, ...), another type, `[]type` or `map<type>`. Words: omit (omitempty),
ptr, optional (not required in OpenAPI), merge=KEY (strategic merge), set, atomic, keys=a,b (list type map),
default=JSON, enum=a|b. Comment lines directly above document a type or field.
"""

import re

import blob
import proto


def read(path, type_meta_field):
    package = group = ""
    names, types, kinds, extensions, comments, current = {}, [], [], [], [], None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        text = line.strip()
        if text.startswith("#"):
            comments.append(text[1:].strip())
            continue
        if match := re.match(r"package (\S+) group (\S+)$", text):
            package, group = match[1], match[2]
        elif match := re.match(r"use (\w+) (\S+)$", text):
            names[match[1]] = match[2]
        elif match := re.match(r"(kind|type) (\w+)$", text):
            current = {"name": f"{package}.{match[2]}", "doc": " ".join(comments), "fields": [],
                       "atomic": False}
            types.append(current)
            if match[1] == "kind":
                kinds.append((group, package.rsplit(".", 1)[1], match[2], current["name"]))
                current["fields"] += [type_meta_field("kind"), type_meta_field("apiVersion")]
        elif match := re.match(r"extend (\w+)$", text):
            current = {"fields": []}
            extensions.append((f"{package}.{match[1]}", current["fields"]))
        elif match := re.match(r"(\S+): (\d+) (\S+)(.*)$", text):
            current["fields"].append(field(match, names, package, " ".join(comments), f"{path}:{number}"))
        elif text:
            raise SystemExit(f"{path}:{number}: not understood: {text}")
        comments = []
    return types, kinds, extensions


def field(match, names, package, doc, where):
    name, number, kind, words = match[1], int(match[2]), match[3], match[4].split()
    flags, go_type = 0, kind
    if kind.startswith("[]"):
        flags, kind = blob.REPEATED, kind[2:]
    elif inner := re.match(r"map<(\S+)>", kind):
        flags, kind, go_type = blob.MAP, inner[1], f"map[string]{inner[1]}"
    message = "" if kind in blob.BASES else names.get(kind, f"{package}.{kind}")
    base = "message" if message else kind
    if kind.startswith("schemaor"):
        message = f"{package}.JSONSchemaProps"
    version = package.rsplit(".", 1)[1]
    out = {"name": name, "number": number, "base": base, "message": message,
           "patch_strategy": "", "merge_key": "", "list_type": "", "list_map_keys": "", "default": "", "enum": "",
           "doc": doc, "go_type": go_type.replace(kind, f"{version}.{kind}" if base == "message" else kind)}
    if kind not in proto.SCALARS and not message and kind not in blob.BASES:
        raise SystemExit(f"{where}: unknown type {kind}")
    optional = False
    for word in words:
        key, _, value = word.partition("=")
        if key == "omit":
            flags |= blob.OMIT_EMPTY
        elif key == "ptr":
            flags |= blob.POINTER
        elif key == "optional":
            optional = True
        elif key == "merge":
            out["patch_strategy"], out["merge_key"] = "merge", value
        elif key in ("set", "atomic"):
            out["list_type"] = key
        elif key == "keys":
            out["list_type"], out["list_map_keys"] = "map", value
        elif key == "default":
            out["default"] = value
        elif key == "enum":
            out["enum"] = value.replace("|", ",")
        else:
            raise SystemExit(f"{where}: unknown word {word}")
    if not optional and not flags & blob.OMIT_EMPTY:
        flags |= blob.REQUIRED
    return out | {"flags": flags}
