#!/usr/bin/python3
"""Writes the seed corpus of the TFLite fuzz target: small models made by hand.

    tflite_seeds.py FOLDER

The writer lays tables out front to back: a table's own bytes, then what it refers
to, so that every offset leads forward.
"""
import os
import struct
import sys


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
            form = {"ints": "i", "longs": "q", "floats": "f"}[kind]
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


def op(index, ins, outs, number=0, **options):
    slots = dict(s0=("u32", index), s1=("ints", ins), s2=("ints", outs))
    if number:
        slots["s3"] = ("u8", number)
        slots["s4"] = ("table", Table(**options))
    return Table(**slots)


def model(tensors, ops, codes, buffers, ins=(0,), outs=None):
    outs = outs or [len(tensors) - 1]
    graph = Table(s0=("tables", tensors), s1=("ints", list(ins)), s2=("ints", list(outs)),
                  s3=("tables", ops), s4=("string", "main"))
    code = [Table(s0=("i8", min(c, 127)), s3=("i32", c)) for c in codes]
    data = [Table(s0=("bytes", b)) if b else Table() for b in [b""] + buffers]
    return Writer().finish(Table(s0=("u32", 3), s1=("tables", code), s2=("tables", [graph]),
                                 s4=("tables", data)))


F32, I32, U8, I16, I8, I4 = 0, 2, 3, 7, 9, 17


def ints(*v):
    return struct.pack(f"<{len(v)}i", *v)


def seeds():
    q = dict(scale=[0.5], zero=[3])
    yield "conv", model(
        [tensor("x", [1, 3, 3, 2], I8, **q), tensor("w", [2, 2, 2, 2], I8, 1, [0.1, 0.2]),
         tensor("b", [2], I32, 2, [0.05, 0.1]), tensor("y", [1, 3, 3, 2], I8, **q)],
        [op(0, [0, 1, 2], [3], 1, s0=("i8", 0), s1=("i32", 1), s2=("i32", 1), s3=("i8", 1))],
        [3], [bytes(range(16)), ints(5, -7)])
    yield "depthwise", model(
        [tensor("x", [1, 4, 4, 2], F32), tensor("w", [1, 3, 3, 4], F32, 1),
         tensor("y", [1, 2, 2, 4], F32)],
        [op(0, [0, 1, -1], [2], 2, s0=("i8", 1), s1=("i32", 1), s2=("i32", 1), s3=("i32", 2))],
        [4], [struct.pack("<36f", *range(36))])
    yield "fully_connected", model(
        [tensor("x", [1, 2, 2], I8, **q), tensor("w", [3, 4], I4, 1, [0.1]),
         tensor("y", [1, 3], I8, **q)],
        [op(0, [0, 1], [2], 8, s0=("i8", 3))], [9], [b"\x21\x43\x65\x87\xa9\xcb"])
    yield "moves", model(
        [tensor("x", [2, 3, 1], F32), tensor("p", [3, 2], I32, 1), tensor("a", [4, 3, 1], F32),
         tensor("b", [1], I32, 2), tensor("e", [1], I32, 3), tensor("s", [1], I32, 4),
         tensor("c", [2, 3, 1], F32), tensor("t", [3], I32, 5), tensor("y", [3, 1, 2], F32)],
        [op(0, [0, 1], [2], 22), op(1, [2, 3, 4, 5], [6], 32, s1=("i32", 0)),
         op(2, [6, 7], [8], 26)],
        [34, 45, 39], [ints(1, 1, 0, 0, 0, 0), ints(3), ints(0), ints(-2), ints(1, 2, 0)])
    yield "split_concat", model(
        [tensor("axis", [], I32, 1), tensor("x", [1, 4], I16, scale=[1.0], zero=[0]),
         tensor("a", [1, 2], I16, scale=[1.0], zero=[0]),
         tensor("b", [1, 2], I16, scale=[1.0], zero=[0]),
         tensor("y", [2, 2], I16, scale=[1.0], zero=[0])],
        [op(0, [0, 1], [2, 3], 35, s0=("i32", 2)), op(1, [3, 2], [4], 10, s0=("i32", 0))],
        [49, 2], [ints(1)], ins=(1,))
    yield "pool_mean", model(
        [tensor("x", [1, 4, 4, 2], I8, **q), tensor("p", [1, 2, 2, 2], I8, **q),
         tensor("axes", [2], I32, 1), tensor("y", [1, 2], I8, scale=[0.25], zero=[0])],
        [op(0, [0], [1], 5, s0=("i8", 1), s1=("i32", 2), s2=("i32", 2), s3=("i32", 2),
            s4=("i32", 2)),
         op(1, [1, 2], [3], 27)],
        [17, 40], [ints(1, 2)])
    yield "transpose_conv", model(
        [tensor("shape", [4], I32, 1), tensor("w", [1, 2, 2, 1], F32, 2),
         tensor("x", [1, 2, 2, 1], F32), tensor("y", [1, 4, 4, 1], F32)],
        [op(0, [0, 1, 2], [3], 49, s0=("i8", 0), s1=("i32", 2), s2=("i32", 2))],
        [67], [ints(1, 4, 4, 1), struct.pack("<4f", 1, 2, 3, 4)], ins=(2,))
    yield "not_known", model([tensor("x", [1], F32), tensor("y", [1], F32)],
                             [op(0, [0], [1])], [118], [])
    yield "empty", b"\x08\0\0\0TFL3"
    yield "blocks", model(
        [tensor("x", [1, 4, 4, 1], F32), tensor("block", [2], I32, 1),
         tensor("pads", [2, 2], I32, 2), tensor("a", [4, 2, 2, 1], F32),
         tensor("y", [1, 4, 4, 1], F32)],
        [op(0, [0, 1, 2], [3], 25), op(1, [3, 1, 2], [4], 24)],
        [38, 37], [ints(2, 2), ints(0, 0, 0, 0)])


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in seeds():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
