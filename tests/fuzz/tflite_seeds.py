#!/usr/bin/python3
"""Writes the seed corpus of the TFLite fuzz target: small models made by hand.

    tflite_seeds.py FOLDER
"""
import os
import struct
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../conformance"))

import numpy as np

import tflite_made
from tflite_file import F32, I16, I32, I4, I8, U8, Table, Writer, ints, model, op, tensor


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


def made_seeds():
    """One model of each kind that a test makes."""
    names = set()
    for make in tflite_made.MAKERS:
        for case in make(np.random.default_rng(1)):
            name = case.name.split()[0]
            if name not in names:
                names.add(name)
                yield name, case.data


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in [*seeds(), *made_seeds()]:
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(data)


if __name__ == "__main__":
    main()
