"""Reads generated.proto: messages with their field numbers and wire types."""

import re
from dataclasses import dataclass, field


@dataclass
class ProtoField:
    name: str
    number: int
    label: str      # optional, repeated, map
    type: str       # scalar name, or full message name ("k8s.io.api.core.v1.PodSpec")


@dataclass
class Message:
    name: str       # full name
    fields: list = field(default_factory=list)


SCALARS = {"string", "bool", "int32", "int64", "uint32", "uint64", "double", "bytes"}
FIELD = re.compile(r"^\s*(optional|repeated)\s+(\S+)\s+(\w+)\s*=\s*(\d+)\s*;")
MAP = re.compile(r"^\s*map<\s*string\s*,\s*([^>\s]+)\s*>\s+(\w+)\s*=\s*(\d+)\s*;")


def read(path):
    """All messages of one file, in its order."""
    package, messages, current = None, [], None
    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        text = line.split("//")[0]
        if not text.strip():
            continue
        if match := re.match(r"\s*package\s+(\S+);", text):
            package = match[1]
        elif match := re.match(r"\s*message\s+(\w+)\s*\{", text):
            current = Message(f"{package}.{match[1]}")
            messages.append(current)
        elif match := FIELD.match(text):
            current.fields.append(ProtoField(match[3], int(match[4]), match[1], full(package, match[2])))
        elif match := MAP.match(text):
            current.fields.append(ProtoField(match[2], int(match[3]), "map", full(package, match[1])))
        elif current and "=" in text and not re.match(r"\s*(option|syntax)\b", text):
            raise SystemExit(f"{path}:{number}: a field that schemagen does not understand: {line.strip()}")
    return messages


def full(package, name):
    if name in SCALARS:
        return name
    return name[1:] if name.startswith(".") else f"{package}.{name}"
