#!/usr/bin/python3
"""Runs TFLite models that are made here and compares them with numpy.

What no model of ../shared has: hybrid operators, control flow, sparse constants, operators on
indices, custom operators (tflite_custom.py), -fsingle-rounding.  The expected numbers are
computed from the definitions of TFLite's reference kernels, in numpy, and have to be met bit
for bit, but for functions such as exp (rtol 1e-5 of the range).
Every model runs through generated C at -O0 and -O2 and in the interpreter.
"""
import argparse
import itertools
import math
import os
import re
import sys

import numpy as np

import harness
from tflite_custom import custom_cases, custom_refusals
from tflite_file import (ANYTHING, BOOL, F32, I16, I32, I64, I8, Case, Table, f32, floats, graph,
                         ints, model, op, tensor)

sys.dont_write_bytecode = True


# ---- Hybrid operators ----

def away(x):
    """Half away from zero; exact in double."""
    x = x.astype(np.float64)
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def quantized_row(x, symmetric):
    """(codes, scale, zero point) of one row."""
    x = x.astype(f32)
    if symmetric:
        size = max(abs(x.min(initial=0)), abs(x.max(initial=0)))
        if size == 0:
            return np.zeros(x.shape, np.int64), f32(1), 0
        inverse = f32(127) / f32(size)
        return np.clip(away(x * inverse), -127, 127).astype(np.int64), f32(size) / f32(127), 0
    lo, hi = min(0.0, float(x.min(initial=0))), max(0.0, float(x.max(initial=0)))
    if lo == hi:
        return np.zeros(x.shape, np.int64), f32(1), 0
    scale = (hi - lo) / 255.0
    below, above = -128 - lo / scale, 127 - hi / scale
    nearer = 128 + abs(lo / scale) < 127 + abs(hi / scale)
    zero = int(np.clip(away(np.float64(below if nearer else above)), -128, 127))
    inverse = f32(1) / f32(scale)
    codes = np.clip(away(f32(zero) + x * inverse), -128, 127).astype(np.int64)
    return codes, f32(scale), zero


def clamped(y, activation):
    lo, hi = [(-np.inf, np.inf), (0, np.inf), (-1, 1), (0, 6)][activation]
    return np.clip(y, f32(lo), f32(hi))


def hybrid_product(x, w, w_scale, bias, symmetric, activation=0):
    """x [rows, k] times w [m, k]."""
    y = np.zeros((x.shape[0], w.shape[0]), f32)
    for r, row in enumerate(x):
        codes, scale, zero = quantized_row(row, symmetric)
        y[r] = ((codes - zero) @ w.astype(np.int64).T).astype(f32) * (scale * w_scale)
    return clamped(y + bias if bias is not None else y, activation)


def fully_connected(random, symmetric, scales, bias, activation, keep):
    shape = [2, 3, 20] if keep else [4, 20]
    x = random.normal(0, 3, shape).astype(f32)
    x[0] = 0 if not keep else x[0]
    w = random.integers(-127, 128, (9, 20)).astype(np.int8)
    w_scale = random.uniform(0.01, 0.1, 9 if scales > 1 else 1).astype(f32)
    b = random.normal(0, 1, 9).astype(f32)
    want = hybrid_product(x.reshape(-1, 20), w, w_scale, b if bias else None, symmetric, activation)
    tensors = [tensor("x", shape, F32), tensor("w", [9, 20], I8, 1, w_scale.tolist()),
               tensor("b", [9], F32, 2), tensor("y", shape[:-1] + [9], F32)]
    data = model(tensors, [op(0, [0, 1, 2 if bias else -1], [3], 8, s0=("i8", activation),
                              s2=("bool", keep), s3=("bool", not symmetric))],
                 [9], [w.tobytes(), floats(b)])
    return Case(f"fully_connected {symmetric} {scales} {bias}", data, [[x]], [[want]])


def windows(x, kernel, stride, dilation, fill):
    """Patches [n, oh, ow, kh, kw, c] with SAME padding, and how many images there are."""
    n, size = x.shape[0], x.shape[1:3]
    out = [-(-s // stride) for s in size]
    total = [max((o - 1) * stride + (k - 1) * dilation + 1 - s, 0)
             for o, k, s in zip(out, kernel, size)]
    padded = np.stack([np.pad(image, [(t // 2, t - t // 2) for t in total] + [(0, 0)],
                              constant_values=fill[i]) for i, image in enumerate(x)])
    patch = np.zeros((n, *out, *kernel, x.shape[3]), x.dtype)
    for y in range(out[0]):
        for z in range(out[1]):
            at = padded[:, y * stride:, z * stride:]
            patch[:, y, z] = at[:, :(kernel[0] - 1) * dilation + 1:dilation,
                                :(kernel[1] - 1) * dilation + 1:dilation]
    return patch


def convolution(random, by_channel, depthwise, stride, dilation, batch):
    kernel, inputs, outputs = (3, 2), 2, 6
    x = random.normal(0.5, 2, (batch, 6, 5, inputs)).astype(f32)
    shape = (1, *kernel, outputs) if depthwise else (outputs, *kernel, inputs)
    w = random.integers(-127, 128, shape).astype(np.int8)
    w_scale = random.uniform(0.01, 0.1, outputs if by_channel else 1).astype(f32)
    b = random.normal(0, 1, outputs).astype(f32)
    symmetric = not by_channel and not depthwise
    rows = [quantized_row(image, symmetric) for image in x]
    codes = np.stack([c - z for c, _, z in rows])
    patch = windows(codes, kernel, stride, dilation, [0] * batch)
    y = np.zeros((*patch.shape[:3], outputs), f32)
    for i, (_, scale, _) in enumerate(rows):
        if depthwise:
            each = np.repeat(patch[i], outputs // inputs, axis=-1)
            sums = (each * w[0].astype(np.int64)).sum((2, 3))
        else:
            sums = np.einsum("abhwc,mhwc->abm", patch[i], w.astype(np.int64))
        sums = sums.astype(f32)
        y[i] = sums * w_scale * scale if by_channel and not depthwise else sums * (w_scale * scale)
    want = clamped(y + b, 1)
    tensors = [tensor("x", x.shape, F32), tensor("w", shape, I8, 1, w_scale.tolist(), axis=3
                                                 if depthwise else 0),
               tensor("b", [outputs], F32, 2), tensor("y", y.shape, F32)]
    if depthwise:
        options = dict(s3=("i32", outputs // inputs), s4=("i8", 1), s5=("i32", dilation),
                       s6=("i32", dilation))
    else:
        options = dict(s3=("i8", 1), s4=("i32", dilation), s5=("i32", dilation))
    data = model(tensors, [op(0, [0, 1, 2], [3], 2 if depthwise else 1, s0=("i8", 0),
                              s1=("i32", stride), s2=("i32", stride), **options)],
                 [4 if depthwise else 3], [w.tobytes(), floats(b)])
    return Case(f"{'depthwise' if depthwise else 'conv'} {by_channel} {stride} {dilation}", data,
                [[x]], [[want]])


def batch_matmul(random, adj_x, adj_y, symmetric):
    x = random.normal(-1, 2, (2, 3, 4, 7)).astype(f32)
    w = random.integers(-127, 128, (3, 7, 5)).astype(np.int8)
    w_scale = f32(0.03)
    want = np.stack([np.stack([hybrid_product(x[i, j], w[j].T, w_scale, None, symmetric)
                               for j in range(3)]) for i in range(2)])
    xs, ws = x.swapaxes(2, 3) if adj_x else x, w.swapaxes(1, 2) if adj_y else w
    xs, ws = np.ascontiguousarray(xs), np.ascontiguousarray(ws)
    tensors = [tensor("x", xs.shape, F32), tensor("w", ws.shape, I8, 1, [float(w_scale)]),
               tensor("y", want.shape, F32)]
    data = model(tensors, [op(0, [0, 1], [2], 101, s0=("bool", adj_x), s1=("bool", adj_y),
                              s2=("bool", not symmetric))], [126], [ws.tobytes()])
    return Case(f"batch_matmul {adj_x} {adj_y} {symmetric}", data, [[xs]], [[want]])


def embedding_lookup(random, by_row):
    w = random.integers(-127, 128, (6, 2, 3)).astype(np.int8)
    w_scale = random.uniform(0.01, 0.1, 6 if by_row else 1).astype(f32)
    x = np.array([5, 0, 2, 2], np.int32)
    scale = w_scale[x] if by_row else w_scale
    want = w[x].astype(f32) * scale.reshape(-1, 1, 1)
    data = model([tensor("x", [4], I32), tensor("w", w.shape, I8, 1, w_scale.tolist()),
                  tensor("y", want.shape, F32)], [op(0, [0, 1], [2])], [7], [w.tobytes()])
    return Case(f"embedding_lookup {by_row}", data, [[x]], [[want]])


def svdf(random, symmetric, bias):
    batch, inputs, units, rank, memory, steps = 2, 5, 4, 2, 3, 5
    filters = units * rank
    wf = random.integers(-127, 128, (filters, inputs)).astype(np.int8)
    wt = random.integers(-127, 128, (filters, memory)).astype(np.int8)
    b = random.normal(0, 1, units).astype(f32)
    xs = random.normal(0, 1, (steps, batch, inputs)).astype(f32)
    state = np.zeros((batch, filters, memory), f32)
    time = f32(0.02) * wt.astype(f32)
    results = []
    for x in xs:
        state = np.roll(state, -1, axis=2)
        state[:, :, -1] = hybrid_product(x, wf, f32(0.05), None, symmetric)
        y = (state.astype(np.float64) * time).sum(2).reshape(batch, units, rank).sum(2)
        results.append([clamped((y + (b if bias else 0)).astype(f32), 1)])
    variable = tensor("state", [batch, filters * memory], F32)
    variable.slots[5] = ("bool", True)
    tensors = [tensor("x", [batch, inputs], F32), tensor("wf", wf.shape, I8, 1, [0.05]),
               tensor("wt", wt.shape, I8, 2, [0.02]), tensor("b", [units], F32, 3), variable,
               tensor("y", [batch, units], F32)]
    data = model(tensors, [op(0, [0, 1, 2, 3 if bias else -1, 4], [5], 6, s0=("i32", rank),
                              s1=("i8", 1), s2=("bool", not symmetric))],
                 [27], [wf.tobytes(), wt.tobytes(), floats(b)])
    return Case(f"svdf {symmetric} {bias}", data, [[x] for x in xs], results, 1e-5)


def lstm(random, symmetric):
    batch, steps, inputs, units = 2, 4, 6, 5
    w = [random.integers(-127, 128, (units, n)).astype(np.int8) for n in [inputs] * 4 + [units] * 4]
    scales = random.uniform(0.005, 0.02, 8).astype(f32)
    b = [random.normal(0, 0.5, units).astype(f32) for _ in range(4)]
    calls = [random.normal(0, 1, (batch, steps, inputs)).astype(f32) for _ in range(2)]
    h, c = np.zeros((batch, units), f32), np.zeros((batch, units), f32)
    results = []
    for x in calls:
        y = np.zeros((batch, steps, units), f32)
        for t in range(steps):
            v = [b[g] + hybrid_product(x[:, t], w[g], scales[g], None, symmetric)
                 + hybrid_product(h, w[4 + g], scales[4 + g], None, symmetric) for g in range(4)]
            i, f, o = (f32(1) / (f32(1) + np.exp(-v[k])) for k in (0, 1, 3))
            c = f * c + i * np.tanh(v[2])
            h = np.tanh(c) * o
            y[:, t] = h
        results.append([y])
    tensors = [tensor("x", [batch, steps, inputs], F32)]
    tensors += [tensor(f"w{k}", v.shape, I8, 1 + k, [float(scales[k])]) for k, v in enumerate(w)]
    tensors += [tensor(f"b{k}", [units], F32, 9 + k) for k in range(4)]
    for name in ("h", "c"):
        state = tensor(name, [batch, units], F32)
        state.slots[5] = ("bool", True)
        tensors.append(state)
    tensors.append(tensor("y", [batch, steps, units], F32))
    ins = [0, *range(1, 9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14]
    data = model(tensors, [op(0, ins, [15], 71, s0=("i8", 4), s4=("bool", not symmetric))], [44],
                 [v.tobytes() for v in w] + [floats(v) for v in b])
    return Case(f"lstm {symmetric}", data, [[x] for x in calls], results, 1e-5)


def hybrid_cases(random):
    for symmetric in (True, False):
        for scales in (1, 9):
            yield fully_connected(random, symmetric, scales, scales > 1, 1 + 2 * symmetric,
                                  not symmetric)
        for adjoint in range(4):
            yield batch_matmul(random, bool(adjoint & 1), bool(adjoint & 2), symmetric)
        yield svdf(random, symmetric, symmetric)
        yield lstm(random, symmetric)
    for by_channel in (False, True):
        for depthwise in (False, True):
            yield convolution(random, by_channel, depthwise, 1, 1, 1)
            yield convolution(random, by_channel, depthwise, 2, 1, 2)
            yield convolution(random, by_channel, depthwise, 1, 2, 3)
        yield embedding_lookup(random, by_channel)


# ---- Indices ----

def by_index(name, ins, outs, constants, number, code, **options):
    """A case of one operator: ins and outs are arrays, constants {position: array}; an
    operand that is no constant is an input of the model."""
    kinds = {"f": F32, "i4": I32, "i8": I64, "i1": I8, "b": BOOL}
    q = options.pop("quantised", {})
    tensors, buffers, call = [], [], []
    for k, x in enumerate([*ins, *outs]):
        kind = kinds.get(x.dtype.kind + str(x.dtype.itemsize), kinds.get(x.dtype.kind))
        if k in constants:
            buffers.append(x.tobytes())
        elif k < len(ins):
            call.append((k, x))
        extra = q if kind == I8 else {}
        tensors.append(tensor(f"t{k}", x.shape, kind, len(buffers) if k in constants else 0,
                              **extra))
    n = len(ins)
    data = model(tensors, [op(0, list(range(n)), list(range(n, n + len(outs))), number, **options)],
                 [code], buffers, [k for k, _ in call], list(range(n, n + len(outs))))
    return Case(name, data, [[x for _, x in call]], [list(outs)])


def index_cases(random):
    i32 = np.int32
    x = random.integers(-3, 4, (2, 3, 7)).astype(np.int8)
    order = np.argsort(-x.astype(int), axis=-1, kind="stable")[..., :4].astype(i32)
    top = np.take_along_axis(x, order, -1)
    yield by_index("top_k", [x, i32(4)], [top, order], {1}, 34, 48,
                   quantised=dict(scale=[0.5], zero=[3]))
    yield by_index("top_k float", [x.astype(f32), i32(4)], [top.astype(f32), order], {1}, 34, 48)
    at = np.array([[2, 0], [5, 1]], i32)
    for axis in (-1, 0):
        want = np.where(np.moveaxis(np.arange(4) == at[..., None], -1, axis), f32(2), f32(-1))
        yield by_index(f"one_hot {axis}", [at, i32(4), f32(2), f32(-1)], [want], {1, 2, 3}, 61, 85,
                       s0=("i32", axis))
    y = random.normal(0, 1, 5).astype(f32)
    for start, stop, step in ((2, 17, 3), (4, -1, -1), (3, 3, 1)):
        want = np.arange(start, stop, step, dtype=i32)
        z = np.zeros(want.shape, i32) + 5
        tensors = [tensor("z", z.shape, I32), tensor("a", [], I32, 1), tensor("b", [], I32, 2),
                   tensor("c", [], I32, 3), tensor("r", want.shape, I32),
                   tensor("y", want.shape, I32)]
        data = model(tensors, [op(0, [1, 2, 3], [4], 73), op(1, [0, 4], [5], 11)], [96, 0],
                     [ints(start), ints(stop), ints(step)])
        yield Case(f"range {start}", data, [[z]], [[z + want]])
    at = np.array([[1, 2], [0, 0], [1, 2]], i32)
    u = random.normal(0, 1, (3, 5)).astype(f32)
    want = np.zeros((2, 3, 5), f32)
    for i, row in zip(at, u):
        want[tuple(i)] += row
    yield by_index("scatter_nd", [at, u, np.array([2, 3, 5], i32)], [want], {2}, 97, 122)
    for start in ([1, 0], [-2, 3], [9, 1]):
        base = random.integers(-9, 9, (4, 5)).astype(np.int8)
        part = random.integers(-9, 9, (2, 3)).astype(np.int8)
        a, b = (int(np.clip(s, 0, m)) for s, m in zip(start, (2, 2)))
        want = base.copy()
        want[a:a + 2, b:b + 3] = part
        yield by_index(f"dynamic_update_slice {start}", [base, part, np.array(start, i32)],
                       [want], {}, 117, 151, quantised=dict(scale=[0.5], zero=[3]))
    y = random.normal(0, 1, (1, 3)).astype(f32)
    tensors = [tensor("y", [1, 3], F32), tensor("s", [2], I32), tensor("t", [1], I32, 1),
               tensor("r", [2], I32), tensor("o", [2, 3], F32), tensor("u", [2], I32, 2)]
    data = model(tensors, [op(0, [5, 2], [3]), op(1, [0, 3], [4])], [145, 130],
                 [ints(3), ints(2, 1)], outs=[4])
    yield Case("broadcast_args", data, [[y]], [[np.repeat(y, 2, 0)]])
    yield by_index("bitwise_xor", [at, at[::-1].copy()], [at ^ at[::-1]], {}, 125, 160)
    tensors = [tensor("x", [2, 3], F32), tensor("d", [2], I32, 1), tensor("v", [], F32, 2),
               tensor("f", [2, 3], F32), tensor("y", [2, 3], F32)]
    y = random.normal(0, 1, (2, 3)).astype(f32)
    data = model(tensors, [op(0, [1, 2], [3], 68), op(1, [0, 3], [4], 11)], [94, 0],
                 [ints(2, 3), floats(1.5)])
    yield Case("fill", data, [[y]], [[y + f32(1.5)]])


# ---- Sparse constants ----

def words(v, width):
    """A vector of indices: (number in the union, table)."""
    v = np.asarray(v)
    if width == 4:
        return 1, Table(s0=("ints", v.tolist()))
    if width == 2:
        return 2, Table(s0=("halves", v.tolist()))
    return 3, Table(s0=("bytes", v.astype(np.uint8).tobytes()))


def level(size=0, segments=None, indices=None, width=1):
    if segments is None:
        return Table(s0=("i8", 0), s1=("i32", size))
    s, i = words(segments, width), words(indices, width)
    return Table(s0=("i8", 1), s2=("u8", s[0]), s3=("table", s[1]), s4=("u8", i[0]),
                 s5=("table", i[1]))


def sparse_product(random, width, block, by_column):
    """A fully connected layer whose weights [8, 12] are stored by rows or columns, in
    blocks of 1x4 or alone."""
    w = random.normal(0, 1, (8, 12)).astype(f32)
    w[random.uniform(size=(8, 3)).repeat(4, 1) < 0.6] = 0
    tiles = w.reshape(8, 3, 4) if block else w
    used = tiles.any(-1) if block else tiles != 0
    if by_column:
        tiles, used = tiles.swapaxes(0, 1), used.swapaxes(0, 1)
    outer, inner = np.nonzero(used)
    segments = np.concatenate([[0], np.cumsum(used.sum(1))])
    stored = np.ascontiguousarray(tiles[outer, inner])
    levels = [level(used.shape[0]), level(None, segments, inner, width)]
    order = [1, 0] if by_column else [0, 1]
    if block:
        levels.append(level(4))
        order.append(2)
    slots = dict(s0=("ints", order), s2=("tables", levels))
    if block:
        slots["s1"] = ("ints", [1])
    x = random.normal(0, 1, (2, 12)).astype(f32)
    weights = tensor("w", [8, 12], F32, 1)
    weights.slots[6] = ("table", Table(**slots))
    tensors = [tensor("x", [2, 12], F32), weights, tensor("d", [8, 12], F32),
               tensor("y", [2, 8], F32)]
    data = model(tensors, [op(0, [1], [2], 99), op(1, [0, 2], [3], 8)], [124, 9],
                 [stored.tobytes()])
    return Case(f"sparse {width} {block} {by_column}", data, [[x]], [[x @ w.T]], 1e-6)


def sparse_cases(random):
    for width in (1, 2, 4):
        for block in (False, True):
            for by_column in (False, True):
                yield sparse_product(random, width, block, by_column)


# ---- Control flow ----

def condition(random, known, value):
    """y = c ? 2x : x - 1"""
    x = random.normal(0, 1, (2, 3)).astype(f32)
    t = [tensor("x", [2, 3], F32), tensor("c", [], BOOL, 1 if known else 0),
         tensor("y", [2, 3], F32)]
    double = graph([tensor("a", [2, 3], F32), tensor("b", [2, 3], F32)],
                   [op(1, [0, 0], [1], 11)], [0], [1])
    less = graph([tensor("a", [2, 3], F32), tensor("one", [], F32, 2), tensor("b", [2, 3], F32)],
                 [op(2, [0, 1], [2], 28)], [0], [2])
    data = model(t, [op(0, [1, 0], [2], 92, s0=("i32", 1), s1=("i32", 2))], [118, 0, 41],
                 [bytes([value]), floats(1)], [0] if known else [0, 1], graphs=[double, less])
    calls = [[x] if known else [x, np.array(v)] for v in (True, False)]
    takes = [value, value] if known else [True, False]
    return Case(f"if {known} {value}", data, calls, [[x + x if v else x - 1] for v in takes])


def condition_on_variable(random):
    """A variable that one side of an IF adds x to: y is what it holds then."""
    handle = Table(s0=("string", ""), s1=("string", "sum"))

    def use(name):
        return tensor(name, [], 13)

    def var(out):
        o = op(1, [], [out])
        o.slots[3], o.slots[4] = ("u8", 111), ("table", handle)
        return o
    add = graph([tensor("a", [2], F32), use("h"), tensor("v", [2], F32), tensor("s", [2], F32)],
                [var(1), op(2, [1], [2], 112), op(3, [0, 2], [3], 11), op(4, [1, 3], [], 113)],
                [0], [3])
    keep = graph([tensor("a", [2], F32), use("h"), tensor("v", [2], F32)],
                 [var(1), op(2, [1], [2], 112)], [0], [2])
    t = [tensor("x", [2], F32), tensor("c", [1], BOOL), tensor("y", [2], F32)]
    data = model(t, [op(0, [1, 0], [2], 92, s0=("i32", 1), s1=("i32", 2))],
                 [118, 142, 143, 0, 144], [], [0, 1], graphs=[add, keep])
    xs = random.normal(0, 1, (4, 2)).astype(f32)
    total, calls, results = np.zeros(2, f32), [], []
    for x, c in zip(xs, (True, False, True, False)):
        total = total + x if c else total
        calls.append([x, np.array([c])])
        results.append([total])
    return Case("if with a variable", data, calls, results)


def loop(random, trips):
    """while (i < trips) { i += 1; x = x * x + i }"""
    x = random.normal(0, 0.2, 3).astype(f32)
    test = graph([tensor("i", [], I32), tensor("v", [3], F32), tensor("n", [], I32, 1),
                  tensor("c", [], BOOL)], [op(1, [0, 2], [3], 41)], [0, 1], [3])
    body = graph([tensor("i", [], I32), tensor("v", [3], F32), tensor("one", [], I32, 2),
                  tensor("j", [], I32), tensor("f", [], F32), tensor("s", [3], F32),
                  tensor("w", [3], F32)],
                 [op(2, [0, 2], [3], 11), op(3, [3], [4], 37), op(4, [1, 1], [5], 21),
                  op(2, [5, 4], [6], 11)], [0, 1], [3, 6])
    t = [tensor("x", [3], F32), tensor("zero", [], I32, 3), tensor("k", [], I32),
         tensor("y", [3], F32)]
    data = model(t, [op(0, [1, 0], [2, 3], 93, s0=("i32", 1), s1=("i32", 2))],
                 [119, 58, 0, 53, 18], [ints(trips), ints(1), ints(0)], outs=[3, 2],
                 graphs=[test, body])
    y = x
    for i in range(trips):
        y = y * y + f32(i + 1)
    return Case(f"while {trips}", data, [[x]], [[y, np.array(trips, np.int32)]])


def control_cases(random):
    for value in (True, False):
        yield condition(random, True, value)
    yield condition(random, False, True)
    yield condition_on_variable(random)
    for trips in (0, 1, 5):
        yield loop(random, trips)


# ---- Models that must be refused: (name, model, what the message says) ----

def refusals():
    x = tensor("x", [], I32)
    test = graph([x, tensor("n", [], I32, 1), tensor("c", [], BOOL)], [op(1, [0, 1], [2], 41)],
                 [0], [2])
    body = graph([x, tensor("one", [], I32, 1), tensor("j", [], I32)], [op(2, [0, 1], [2], 11)],
                 [0], [2])
    t = [x, tensor("y", [], I32)]
    loop_op = op(0, [0], [1], 93, s0=("i32", 1), s1=("i32", 2))
    yield ("trips from data", model(t, [loop_op], [119, 58, 0], [ints(5)], graphs=[test, body]),
           "op 0 'y' (WHILE): error: how often the loop runs depends on data")
    t = [x, tensor("k", [], I32, 1), tensor("y", [], I32)]
    endless = op(0, [1], [2], 93, s0=("i32", 1), s1=("i32", 2))
    yield ("endless", model(t, [endless], [119, 58, 41], [ints(5), ints(9)],
                            graphs=[graph([x, tensor("n", [], I32, 2), tensor("c", [], BOOL)],
                                          [op(1, [0, 1], [2], 41)], [0], [2]),
                                    graph([x, tensor("one", [], I32, 1), tensor("j", [], I32)],
                                          [op(2, [0, 1], [2], 28)], [0], [2])]),
           "the loop runs more than 1000 times")
    c = tensor("c", [], BOOL)
    again = graph([x, c, tensor("y", [], I32)],
                  [op(0, [1, 0, 1], [2], 92, s0=("i32", 1), s1=("i32", 1))], [0, 1], [2])
    yield ("recursion", model([x, c, tensor("y", [], I32)],
                              [op(0, [1, 0, 1], [2], 92, s0=("i32", 1), s1=("i32", 1))], [118], [],
                              [0, 1], graphs=[again]),
           "graphs that run graphs, more than 16 deep")
    yield from custom_refusals()
    weights = tensor("w", [1, 4], F32, 1)
    weights.slots[6] = ("table", Table(s0=("ints", [0, 1]), s2=("tables", [
        level(1), level(None, [0, 2], [1, 4])])))
    yield ("sparse index", model([tensor("x", [1, 4], F32), weights, tensor("y", [1, 1], F32)],
                                 [op(0, [0, 1], [2], 8)], [9], [floats([1, 2])]),
           "tensor 1 'w': error: its sparse storage: an index is out of its dimension")


def check_refusal(args, data, message):
    with harness.scratch_folder() as folder:
        path = os.path.join(folder, "model.tflite")
        with open(path, "wb") as f:
            f.write(data)
        done = harness.run([args.mcc, path, "-o", os.path.join(folder, "model.c")])
    if done.returncode != 1 or message not in re.sub(r" E\d+", "", done.stderr):
        return f"exit {done.returncode}: {done.stderr[:300]}"
    return None


# ---- Names of layers ----

def check_names(args):
    """The first of the names that a converter joined names the layer, if it names one only."""
    names = ["x", "a/Relu;a/BiasAdd", "b/Relu;b/BiasAdd", "b/Relu;c/BiasAdd", "y"]
    data = model([tensor(name, [2], F32) for name in names],
                 [op(k % 2, [k], [k + 1]) for k in range(4)], [47, 108], [])
    with harness.scratch_folder() as folder:
        path = os.path.join(folder, "model.tflite")
        with open(path, "wb") as f:
            f.write(data)
        done = harness.run([args.mcc, path, "-E"])
    got = re.findall(r' as "([^"]*)"', done.stdout)
    want = ["a/Relu", "b/Relu;b/BiasAdd", "b/Relu;c/BiasAdd", "y"]
    return None if got[:4] == want else f"layers are {got}, not {want}: {done.stderr[:300]}"


# ---- Builds of TFLite that round once ----

def multiplier(d):
    """QuantizeMultiplier: (m, shift) with d = m * 2^(shift - 31)."""
    if d == 0:
        return 0, 0
    q, shift = math.frexp(d)
    m = int(math.floor(q * 2 ** 31 + 0.5))
    if m == 2 ** 31:
        m, shift = m // 2, shift + 1
    return (0, 0) if shift < -31 else (2 ** 31 - 1, 30) if shift > 30 else (m, shift)


def once(x, d):
    """MultiplyByQuantizedMultiplier by the factor d, with TFLITE_SINGLE_ROUNDING."""
    m, shift = multiplier(d)
    return np.vectorize(lambda v: (int(v) * m + (1 << 30 - shift)) >> 31 - shift,
                        otypes=[np.int64])(x)


def q8(x, zero):
    return np.clip(x + zero, -128, 127).astype(np.int8)


def scale(random):
    """Powers of 2, with which numbers in the middle between two results are frequent: there
    the ways to round differ."""
    return 2.0 ** int(random.integers(-6, -2)), int(random.integers(-20, 20))


def single(name, ins, y, quants, number, code, constants=(), **options):
    """A case of one operator on 8-bit numbers; quants has (scale, zero) of each operand,
    None: not quantised, or lists of scales."""
    tensors, buffers, call = [], [], []
    for k, x in enumerate([*ins, y]):
        q = quants[k]
        kind = {"i1": I8, "i2": I16, "i4": I32}[x.dtype.kind + str(x.dtype.itemsize)]
        if k in constants:
            buffers.append(x.tobytes())
        elif k < len(ins):
            call.append((k, x))
        scales = {} if q is None else dict(scale=np.atleast_1d(q[0]).tolist(),
                                           zero=np.broadcast_to(q[1], np.atleast_1d(q[0]).shape)
                                           .tolist())
        tensors.append(tensor(f"t{k}", x.shape, kind, len(buffers) if k in constants else 0,
                              **scales))
    n = len(ins)
    data = model(tensors, [op(0, list(range(n)), [n], number, **options)], [code], buffers,
                 [k for k, _ in call])
    case = Case(f"once {name}", data, [[x for _, x in call]], [[y]])
    case.options = ["-fsingle-rounding"]
    return case


def all_codes(random, *shape):
    return random.integers(-128, 128, shape).astype(np.int8)


def single_arithmetic(random):
    (s1, z1), (s2, z2), (s, z) = quants = [scale(random) for _ in range(3)]
    x, y = all_codes(random, 200), all_codes(random, 200)
    a, b = x.astype(np.int64) - z1, y.astype(np.int64) - z2
    top = 2 * max(s1, s2)
    for sign, code, number in ((1, 0, 11), (-1, 41, 28)):
        parts = [once(a << 20, s1 / top), once(b << 20, s2 / top)]
        if sign < 0:
            wide = f32(top)
            parts = [once(a << 20, float(f32(s1) / wide)), once(b << 20, float(f32(s2) / wide))]
        total = parts[0] + sign * parts[1]
        by = top / (2 ** 20 * s) if sign > 0 else float(f32(top) / (f32(2 ** 20) * f32(s)))
        yield single("add" if sign > 0 else "sub", [x, y], q8(once(total, by), z), quants, number,
                     code)
    yield single("mul", [x, y], q8(once(a * b, s1 * s2 / s), z), quants, 21, 18)
    yield single("requantise", [x], q8(once(a, s1 / s), z), [quants[0], quants[2]], 89, 114)
    alpha = f32(0.25)
    parts = np.where(a >= 0, once(a, float(f32(s1) / f32(s))),
                     once(a, float(f32(f32(s1) * alpha) / f32(s))))
    yield single("leaky_relu", [x], q8(parts, z), [quants[0], quants[2]], 75, 98,
                 s0=("f32", float(alpha)))
    rows = all_codes(random, 2, 2, 8, 4)
    sums = (rows.astype(np.int64) - z1).sum((1, 2))
    # The number of elements is divided out of the multiplier.
    m, shift = multiplier(s1 / s)
    k = min((16).bit_length() - 1, 32, 31 + shift)
    m, shift = (m << k) // 16, shift - k
    mean = np.vectorize(lambda v: (int(v) * m + (1 << 30 - shift)) >> 31 - shift)(sums)
    yield single("mean", [rows, np.array([1, 2], np.int32)], q8(mean, z),
                 [quants[0], None, quants[2]], 27, 40, {1})


def reciprocal(b):
    """one_over_one_plus_x of gemmlowp for b shifted to its highest bit."""
    def srdhm(x, y):
        return (x * y + (1 << 30)) >> 31

    def half_sum(x, y):
        t = x + y
        return (abs(t) + 1) // 2 * (1 if t >= 0 else -1)

    a = (b << 32 - b.bit_length()) - 2 ** 31
    h = half_sum(a, 2 ** 31 - 1)
    v = 1515870810 + srdhm(h, -1010580540)
    for _ in range(3):
        t = srdhm(v, 2 ** 29 - srdhm(h, v))
        v = v + max(min(t << 2, 2 ** 31 - 1), -2 ** 31)
    return max(min(v << 1, 2 ** 31 - 1), -2 ** 31)


def single_quotient(random):
    quants = [scale(random), scale(random), (2.0 ** -int(random.integers(0, 4)), 3)]
    (s1, z1), (s2, z2), (s, z) = quants
    x, y = all_codes(random, 300), all_codes(random, 300)
    y[y == z2] = z2 + 1
    m, shift = multiplier(float(f32(s1) / f32(f32(s2) * f32(s))))
    want = []
    for a, b in zip(x.astype(int).tolist(), y.astype(int).tolist()):
        a, b = a - z1, b - z2
        a, b = (-a, -b) if b < 0 else (a, b)
        room = 31 - max(a, -a - 1).bit_length()
        q = ((a << room) * reciprocal(b) + (1 << 30)) >> 31
        right = 31 - (shift - (31 - (32 - b.bit_length())) - room)
        want.append((q * m + (1 << right - 1)) >> right if a else 0)
    return single("div", [x, y], q8(np.array(want), z), quants, 29, 42)


def single_layers(random):
    (s1, z1), (s, z) = scale(random), scale(random)
    w_scale = 2.0 ** random.integers(-10, -6, 6)
    x, w = all_codes(random, 1, 5, 5, 3), random.integers(-127, 128, (6, 3, 3, 3)).astype(np.int8)
    bias = random.integers(-5000, 5000, 6).astype(np.int32)
    patch = windows(x.astype(np.int64) - z1, (3, 3), 1, 1, [0])
    sums = np.einsum("nabhwc,mhwc->nabm", patch, w.astype(np.int64)) + bias
    want = np.stack([once(sums[..., c], s1 * w_scale[c] / s) for c in range(6)], -1)
    yield single("conv", [x, w, bias], q8(want, z), [(s1, z1), (w_scale, 0), None, (s, z)], 1, 3,
                 {1, 2}, s1=("i32", 1), s2=("i32", 1))
    x, w = all_codes(random, 4, 30), random.integers(-127, 128, (6, 30)).astype(np.int8)
    sums = (x.astype(np.int64) - z1) @ w.astype(np.int64).T + bias
    by = float(f32(s1) * f32(w_scale[0])) / s
    yield single("fully_connected", [x, w, bias], q8(once(sums, by), z),
                 [(s1, z1), (w_scale[0], 0), None, (s, z)], 8, 9, {1, 2})


SIGMOID_UP = [4, 8, 12, *range(14, 18), *range(19, 23), 25, *range(27, 32), *range(33, 36), 37,
              *range(39, 42), *range(43, 47), 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112,
              116, 135, 255]


def sigmoid_table():
    t = [min(65535, int(65536 / (1 + math.exp(-i / 24)) + 0.5)) for i in range(256)]
    return [v + (i in SIGMOID_UP) for i, v in enumerate(t)]


def table16(v, tanh):
    """The logistic function or tanh of v, which is 3 * 4096 times the argument."""
    t, bits = sigmoid_table(), 8 if tanh else 9
    a = abs(v)
    u = a >> bits
    r = (0xffff << 8 if tanh else 0x7fff << 10) if u >= 255 else \
        (t[u] << bits) + (a & (1 << bits) - 1) * (t[u + 1] - t[u])
    if tanh:
        return (r - 2 ** 23 + 128 if v >= 0 else -r + 2 ** 23 + 127) >> 8
    return (r + 512 if v >= 0 else 2 ** 25 - r + 511) >> 10


def single_lstm(random):
    batch, steps, inputs, units, (s_x, z_x), (s_h, z_h), s_c = 2, 3, 6, 4, (2.0 ** -6, 3), \
        (2.0 ** -7, -5), 2.0 ** -11
    shapes = [inputs] * 4 + [units] * 4
    w = [random.integers(-127, 128, (units, n)).astype(np.int8) for n in shapes]
    sw = (2.0 ** random.integers(-9, -6, 8)).tolist()
    b = [random.integers(-3000, 3000, units).astype(np.int32) for _ in range(4)]
    x = all_codes(random, batch, steps, inputs)
    h, c = np.full((batch, units), z_h, np.int64), np.zeros((batch, units), np.int64)
    y = np.zeros((batch, steps, units), np.int8)

    def sat(v):
        return np.clip(v, -32768, 32767)

    def function(v, tanh):
        return np.vectorize(lambda e: table16(3 * int(e), tanh))(v)
    for t in range(steps):
        v = []
        for g in range(4):
            a = (x[:, t].astype(np.int64) - z_x) @ w[g].astype(np.int64).T + b[g]
            r = (h - z_h) @ w[4 + g].astype(np.int64).T
            v.append(sat(sat(once(a, float(f32(s_x) * f32(sw[g])) * 4096)) +
                         sat(once(r, float(f32(s_h) * f32(sw[4 + g])) * 4096))))
        i, f, g, o = (function(v[k], k == 2) for k in range(4))
        c = sat(sat(once(f * c, 2.0 ** -15)) + sat(once(i * g, 2.0 ** -30 / s_c)))
        # The cell is in units of 2^-11, tanh takes 2^-12.
        tanh = np.vectorize(lambda e: table16(int(e) * 6, True))(c)
        h = np.clip(once(tanh * o, 2.0 ** -30 / s_h) + z_h, -128, 127)
        y[:, t] = h
    tensors = [tensor("x", x.shape, I8, scale=[s_x], zero=[z_x])]
    tensors += [tensor(f"w{k}", e.shape, I8, 1 + k, scale=[sw[k]], zero=[0]) for k, e in enumerate(w)]
    tensors += [tensor(f"b{k}", [units], I32, 9 + k) for k in range(4)]
    tensors += [tensor("h", [batch, units], I8, scale=[s_h], zero=[z_h]),
                tensor("c", [batch, units], I16, scale=[s_c], zero=[0]),
                tensor("y", y.shape, I8, scale=[s_h], zero=[z_h])]
    for state in tensors[13:15]:
        state.slots[5] = ("bool", True)
    ins = [0, *range(1, 9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14]
    data = model(tensors, [op(0, ins, [15], 71, s0=("i8", 4))], [44],
                 [e.tobytes() for e in w] + [e.tobytes() for e in b])
    case = Case("once lstm", data, [[x]], [[y]])
    case.options = ["-fsingle-rounding"]
    return case


def single_cases(random):
    for _ in range(3):
        yield from single_arithmetic(random)
        yield single_quotient(random)
        yield from single_layers(random)
        yield single_lstm(random)


# ---- Running ----

def compare(case, call, got, want):
    for k, y in enumerate(want):
        if y is ANYTHING:
            continue
        z = harness.view_as(got[k], y).reshape(y.shape)
        scale = np.abs(y).max(initial=1e-30) if y.dtype.kind == "f" else 1
        error = np.abs(z.astype(np.float64) - y).max(initial=0) / scale
        if not error <= case.tolerance:
            raise harness.Failure(f"call {call} output {k}: off by {error:.3g}")


def check_compiled(args, case, path, folder, level):
    source, header = harness.compile_model(args.mcc, path, folder, ["-w", level, *case.options],
                                           level[1:])
    interface = harness.Interface(header)
    library = harness.build_shared(source, args.cc, ["-std=c99", level, "-w"], folder, level[1:])
    state = harness.new_state(library, interface)
    for i, (inputs, want) in enumerate(zip(case.calls, case.results)):
        compare(case, i, harness.call(library, interface, inputs, state), want)


def check_interpreter(args, case, path, folder):
    command = [args.mcc_run, path, "--engine=interp", *case.options]
    calls = len(case.calls)
    for k in range(len(case.calls[0])):
        name = os.path.join(folder, f"i{k}.npy")
        steps = [c[k] for c in case.calls]
        np.save(name, np.stack(steps) if calls > 1 else steps[0])
        command += ["-i", name]
    outs = [os.path.join(folder, f"o{k}.npy") for k in range(len(case.results[0]))]
    for name in outs:
        command += ["-o", name]
    done = harness.run(command)
    if done.returncode != 0:
        raise harness.Failure(f"interpreter: {done.stderr.strip()[:300]}")
    got = [np.load(name) for name in outs]
    for i, want in enumerate(case.results):
        compare(case, i, [y.reshape(calls, -1)[i] for y in got], want)


def run_case(args, case):
    """None, or what is wrong."""
    with harness.scratch_folder() as folder:
        path = os.path.join(folder, "model.tflite")
        with open(path, "wb") as f:
            f.write(case.data)
        try:
            for level in ("-O0", "-O2"):
                check_compiled(args, case, path, folder, level)
            check_interpreter(args, case, path, folder)
        except (harness.Failure, harness.Unsupported) as e:
            return str(e)
    return None


MAKERS = (hybrid_cases, index_cases, sparse_cases, control_cases, custom_cases,
          single_cases)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--cc", default="gcc")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    failed = total = 0
    random = np.random.default_rng(args.seed)
    for case in itertools.chain(*(make(random) for make in MAKERS)):
        error = run_case(args, case)
        total += 1
        failed += error is not None
        if error:
            print(f"{case.name}: {error}", flush=True)
    for name, data, message in refusals():
        error = check_refusal(args, data, message)
        total += 1
        failed += error is not None
        if error:
            print(f"{name}: {error}", flush=True)
    error = check_names(args)
    total += 1
    failed += error is not None
    if error:
        print(f"names of layers: {error}", flush=True)
    print(f"{total - failed} of {total} models pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
