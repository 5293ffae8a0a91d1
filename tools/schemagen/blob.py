"""Writes the schema as one compact read-only blob. orchestrator/api/schema.cpp reads it: keep both in step.

    header   8 x u32: magic, version, types, fields, kinds, offset of strings, 0, 0
    types    sorted by name: name, doc, first field (3 x u32), number of fields, 1 if atomic (2 x u16)
    fields   10 x u32 strings: name, go type, patch strategy, merge key, list type, list map keys, default, enum values,
             doc, 0; then u32 number, u16 type index or 0xffff, u8 base, u8 flags
    kinds    sorted by (apiVersion, kind): apiVersion, group, version, kind (4 x u32), type index (u32)
    strings  a reference is an offset into this region: LEB128 length, then the bytes. Offset 0 is "".
             Names come first and prose last, so that the pages of the prose stay untouched in normal work.
"""

import struct

MAGIC, VERSION = 0x4C414253, 2
BASES = ["string", "bool", "int32", "int64", "uint32", "uint64", "double", "bytes", "message", "quantity", "time",
         "microtime", "intorstring", "rawextension", "json", "fieldsv1", "duration", "stringlist", "schemaorarray",
         "schemaorbool", "schemaorstrings"]
REPEATED, MAP, INLINED, OMIT_EMPTY, POINTER, REQUIRED = (1 << i for i in range(6))


class Strings:
    def __init__(self):
        self.data, self.at = bytearray(b"\0"), {"": 0}

    def ref(self, text):
        if text not in self.at:
            raw = text.encode()
            self.at[text] = len(self.data)
            size = len(raw)
            while size >= 0x80:
                self.data.append(size & 0x7F | 0x80)
                size >>= 7
            self.data.append(size)
            self.data += raw
        return self.at[text]


def write(path, types, kinds):
    """types: [{name, doc, fields: [...]}], kinds: [(group, version, kind, type name)]"""
    types = sorted(types, key=lambda t: t["name"])
    index = {t["name"]: i for i, t in enumerate(types)}
    strings = Strings()
    for key in ("name", "go_type", "patch_strategy", "merge_key", "list_type", "list_map_keys", "default", "enum"):
        for t in types:
            strings.ref(t["name"])
            for f in t["fields"]:
                strings.ref(f[key])
    type_rows, field_rows = bytearray(), bytearray()
    count = 0
    for t in types:
        type_rows += struct.pack("<3I2H", strings.ref(t["name"]), 0, count, len(t["fields"]), t["atomic"])
        count += len(t["fields"])
    kind_rows = bytearray()
    versioned = [(f"{g}/{v}" if g else v, g, v, k, index[name]) for g, v, k, name in kinds]
    for api_version, group, version, kind, type_index in sorted(versioned):
        kind_rows += struct.pack("<5I", *map(strings.ref, (api_version, group, version, kind)), type_index)
    for i, t in enumerate(types):
        struct.pack_into("<I", type_rows, i * 16 + 4, strings.ref(t["doc"]))
        for f in t["fields"]:
            refs = [strings.ref(f[k]) for k in ("name", "go_type", "patch_strategy", "merge_key", "list_type",
                                                "list_map_keys", "default", "enum", "doc")]
            message = index[f["message"]] if f["message"] else 0xFFFF
            field_rows += struct.pack("<10IIHBB", *refs, 0, f["number"], message, BASES.index(f["base"]), f["flags"])
    offset = 32 + len(type_rows) + len(field_rows) + len(kind_rows)
    header = struct.pack("<8I", MAGIC, VERSION, len(types), count, len(kinds), offset, 0, 0)
    with open(path, "wb") as out:
        out.write(header + type_rows + field_rows + kind_rows + strings.data)
    return offset + len(strings.data)
