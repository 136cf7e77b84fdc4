"""Writes small TFLite files, for tests that make their own models.

The writer lays tables out front to back: a table's own bytes, then what it refers
to, so that every offset leads forward.
"""
import struct

import numpy as np

f32 = np.float32


class Table:
    def __init__(self, **slots):
        # s3=("i32", 5) is slot 3
        self.slots = {int(k[1:]): v for k, v in slots.items()}


SCALARS = {"bool": "<B", "i8": "<b", "u8": "<B", "i32": "<i", "u32": "<I", "f32": "<f"}


class Writer:
    def __init__(self):
        self.out = bytearray(8)

    def pad(self, n=4):
        while len(self.out) % n:
            self.out.append(0)

    def patch(self, at, target):
        struct.pack_into("<I", self.out, at, target - at)

    def table(self, t):
        self.pad()
        n = max(t.slots, default=-1) + 1
        vtable = len(self.out)
        offsets, at = [0] * n, 4
        for k, (kind, _) in sorted(t.slots.items()):
            offsets[k] = at
            at += 4
        self.out += struct.pack("<HH", 4 + 2 * n, at)
        for o in offsets:
            self.out += struct.pack("<H", o)
        self.pad()
        start = len(self.out)
        self.out += struct.pack("<i", start - vtable)
        self.out += bytes(at - 4)
        later = []
        for k, (kind, value) in sorted(t.slots.items()):
            place = start + offsets[k]
            if kind in SCALARS:
                struct.pack_into(SCALARS[kind], self.out, place, value)
            else:
                later.append((place, kind, value))
        for place, kind, value in later:
            self.patch(place, self.value(kind, value))
        return start

    def value(self, kind, value):
        if kind == "table":
            return self.table(value)
        self.pad()
        start = len(self.out)
        if kind == "string":
            self.out += struct.pack("<I", len(value)) + value.encode() + b"\0"
        elif kind == "bytes":
            self.out += struct.pack("<I", len(value)) + value
        elif kind == "tables":
            self.out += struct.pack("<I", len(value)) + bytes(4 * len(value))
            for i, t in enumerate(value):
                place = start + 4 + 4 * i
                self.patch(place, self.table(t))
        else:
            form = {"ints": "i", "halves": "H", "longs": "q", "floats": "f"}[kind]
            self.out += struct.pack(f"<I{len(value)}{form}", len(value), *value)
        return start

    def finish(self, root):
        start = self.table(root)
        struct.pack_into("<I4s", self.out, 0, start, b"TFL3")
        return bytes(self.out)


def tensor(name, shape, type, buffer=0, scale=None, zero=None, axis=0):
    slots = dict(s0=("ints", shape), s1=("i8", type), s2=("u32", buffer), s3=("string", name))
    if scale is not None:
        zero = zero or [0] * len(scale)
        slots["s4"] = ("table", Table(s2=("floats", scale), s3=("longs", zero), s6=("i32", axis)))
    return Table(**slots)


def op(index, ins, outs, number=0, custom=None, **options):
    slots = dict(s0=("u32", index), s1=("ints", ins), s2=("ints", outs))
    if number:
        slots["s3"] = ("u8", number)
        slots["s4"] = ("table", Table(**options))
    if custom is not None:
        slots["s5"] = ("bytes", custom)
    return Table(**slots)


def graph(tensors, ops, ins, outs):
    return Table(s0=("tables", tensors), s1=("ints", list(ins)), s2=("ints", list(outs)),
                 s3=("tables", ops), s4=("string", "main"))


def model(tensors, ops, codes, buffers, ins=(0,), outs=None, graphs=()):
    """Codes are numbers, or names of custom operators; `graphs` come after the main one."""
    outs = outs or [len(tensors) - 1]
    code = [Table(s0=("i8", 32), s1=("string", c), s3=("i32", 32)) if isinstance(c, str)
            else Table(s0=("i8", min(c, 127)), s3=("i32", c)) for c in codes]
    data = [Table(s0=("bytes", b)) if b else Table() for b in [b""] + buffers]
    return Writer().finish(Table(s0=("u32", 3), s1=("tables", code),
                                 s2=("tables", [graph(tensors, ops, ins, outs), *graphs]),
                                 s4=("tables", data)))


def flexbuffer_map(**values):
    """A FlexBuffers map of integers and bools, as in the options of custom operators."""
    names = sorted(values)
    out, at = bytearray(), {}
    for name in names:
        at[name] = len(out)
        out += name.encode() + b"\0"
    while len(out) % 4:
        out.append(0)
    out += struct.pack("<I", len(names))
    keys = len(out)
    for name in names:
        out += struct.pack("<I", len(out) - at[name])
    out += struct.pack("<III", len(out) - keys, 4, len(names))
    start = len(out)
    for name in names:
        out += struct.pack("<i", values[name])
    out += bytes(26 << 2 | 2 if isinstance(values[n], bool) else 1 << 2 | 2 for n in names)
    while len(out) % 4:
        out.append(0)
    return bytes(out + struct.pack("<I", len(out) - start) + bytes([9 << 2 | 2, 4]))


F32, I32, U8, I64, BOOL, I16, I8, U64, U32, I4 = 0, 2, 3, 4, 6, 7, 9, 12, 15, 17


def ints(*v):
    return struct.pack(f"<{len(v)}i", *v)


ANYTHING = None  # an output that has no defined value


class Case:
    """A model, calls of it one after the other, and what they give."""

    def __init__(self, name, data, calls, results, tolerance=0.0):
        self.name, self.data, self.calls, self.results = name, data, calls, results
        self.tolerance = tolerance
        self.options = []


def floats(x):
    return np.asarray(x, f32).tobytes()
