"""Reads types.go: what a .proto does not say. JSON names, inlining, omitempty, pointers, markers, enums, comments."""

import glob
import os
import re
from dataclasses import dataclass, field


@dataclass
class GoField:
    go_name: str                # "" when embedded
    go_type: str                # as written, "*int32"
    json_name: str
    json_options: list
    number: int                 # of the protobuf tag; 0 when there is none
    proto_name: str
    tags: dict                  # patchStrategy, patchMergeKey struct tags
    comments: list              # lines without //


@dataclass
class GoStruct:
    name: str
    comments: list
    fields: list = field(default_factory=list)


@dataclass
class Package:
    path: str                                       # "k8s.io/api/core/v1"
    group: str
    structs: dict = field(default_factory=dict)     # name -> GoStruct
    named: dict = field(default_factory=dict)       # other named types: name -> (definition, comments)
    constants: list = field(default_factory=list)   # (name, type, value, comments)
    imports: dict = field(default_factory=dict)     # alias -> import path


FIELD = re.compile(r"^\t(?:(\w+)\s+)?([\w.*\[\]{}]+)\s+`([^`]*)`")
CONSTANT = re.compile(r'^\s+(\w+)\s+(\w+)\s*=\s*"([^"]*)"')


def read(root, path):
    package = Package(path, group_of(root, path))
    for name in sorted(glob.glob(os.path.join(root, path, "*.go"))):
        if not name.endswith(("_test.go", "_generated.go")):
            read_file(name, package)
    return package


def group_of(root, path):
    for name in ("register.go", "doc.go"):
        try:
            text = open(os.path.join(root, path, name), encoding="utf-8").read()
        except FileNotFoundError:
            continue
        if match := re.search(r'GroupName\s*=\s*"([^"]*)"|\+groupName=(\S*)', text):
            return match[1] if match[1] is not None else match[2]
    return path.split("/")[-2]


def read_file(name, package):
    comments, struct, in_imports, in_constants = [], None, False, False
    for line in open(name, encoding="utf-8"):
        line = line.rstrip("\n")
        stripped = line.strip()
        if stripped.startswith("//"):
            comments.append(stripped[2:].removeprefix(" "))
            continue
        if not stripped:
            comments = []       # a comment apart from what follows does not document it
            continue
        if line.startswith("import ("):
            in_imports = True
        elif line.startswith("const ("):
            in_constants = True
        elif line.startswith(")"):
            in_imports = in_constants = False
        elif in_imports:
            if match := re.match(r'(?:(\w+)\s+)?"([^"]+)"', stripped):
                package.imports[match[1] or match[2].rsplit("/", 1)[-1]] = match[2]
        elif in_constants or line.startswith("const "):
            if match := CONSTANT.match(line if in_constants else line.replace("const", "", 1)):
                package.constants.append((match[1], match[2], match[3], comments))
        elif match := re.match(r"type (\w+) struct ?\{", line):
            struct = GoStruct(match[1], comments)
            package.structs[struct.name] = struct
            if stripped.endswith("}"):
                struct = None
        elif match := re.match(r"type (\w+) (=? ?\S+)$", line):
            package.named[match[1]] = (match[2].lstrip("= "), comments)
        elif line.startswith("}"):
            struct = None
        elif struct is not None and (match := FIELD.match(line)):
            struct.fields.append(make_field(match, comments))
        comments = []


def make_field(match, comments):
    tags = dict(re.findall(r'(\w+):"([^"]*)"', match[3]))
    json_name, *options = tags.get("json", "").split(",")
    protobuf = tags.get("protobuf", "").split(",")
    number = int(protobuf[1]) if len(protobuf) > 1 else 0
    proto_name = next((p[5:] for p in protobuf if p.startswith("name=")), "")
    return GoField(match[1] or "", match[2], json_name, options, number, proto_name, tags, comments)


def prose(comments):
    """Comment lines as one description: lines of a paragraph joined, markers and one-line TODO notes left out."""
    out = ""
    for line in comments:
        line = line.rstrip(" ")
        text = line.lstrip(" ")
        if line == "---":
            break
        if not line:
            out = out[:-1] + "\n\n"
        elif text.startswith(("TODO", "+")):
            continue
        elif line[0] in " \t":
            out = out[:-1] + "\n" + line + "\n"
        else:
            out += line + " "
    return out.strip("\n").strip(" ")


def markers(comments):
    """+name=value markers; one that stands several times (+listMapKey) gives a list."""
    found = {}
    for line in comments:
        if match := re.match(r"\s*\+([\w:.-]+)(?:=(.*))?$", line):
            found.setdefault(match[1], []).append((match[2] or "").strip())
    return found
