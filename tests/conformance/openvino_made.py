#!/usr/bin/python3
"""Runs OpenVINO models that are made here and compares them with numpy.

What ONNX's tests (openvino_nodes.py) do not have: the masks of StridedSlice, FakeQuantize,
compressed weights, states, TensorIterator, Loop and If, the first forms of operators, the
modes of Interpolate, and ../shared/models/ir_dummy.  The expected numbers are computed in
numpy from OpenVINO's operator specifications.  Every model runs as generated C at -O0 and -O2
and in the interpreter.
"""
import argparse
import itertools
import math
import os
import sys

import numpy as np

import harness
from openvino_file import Ir

sys.dont_write_bytecode = True

f32 = np.float32
HERE = os.path.dirname(os.path.abspath(__file__))


class Case:
    def __init__(self, name, ir, inputs, outputs, options=(), rtol=1e-5, atol=1e-6):
        """`inputs` and `outputs`: one list of arrays, or a list of them for several calls."""
        self.name, self.ir, self.options, self.rtol, self.atol = name, ir, options, rtol, atol
        many = inputs and isinstance(inputs[0], list)
        self.calls = inputs if many else [inputs]
        self.results = outputs if many else [outputs]


def normal(random, *shape):
    return random.normal(0, 1, shape).astype(f32)


# ---- Moving elements ----

def strided(random, x, index, begin, end, step, **masks):
    m = Ir()
    p = m.parameter("x", x.dtype, list(x.shape))
    inputs = [p, m.ints(*begin), m.ints(*end)] + ([m.ints(*step)] if step else [])
    full = {k: masks.get(k, [0] * len(begin)) for k in
            ("begin_mask", "end_mask", "new_axis_mask", "shrink_axis_mask", "ellipsis_mask")}
    m.result(m.layer("StridedSlice", inputs, **full))
    return Case(f"strided {index}", m, [x], [x[index]])


def strided_cases(random):
    x = normal(random, 4, 5, 6)
    s = slice
    yield strided(random, x, np.s_[1:3, 0:5:2, 2:6], [1, 0, 2], [3, 5, 6], [1, 2, 1])
    yield strided(random, x, np.s_[:3, 1:, :], [1, 1, 3], [3, 2, 4], [1, 1, 1],
                  begin_mask=[1, 0, 1], end_mask=[0, 1, 1])
    yield strided(random, x, np.s_[::-1, 4:0:-2], [-1, 4], [0, 0], [-1, -2], end_mask=[1, 0])
    yield strided(random, x, np.s_[1, :, -1], [1, 0, -1], [2, 0, 0], [1, 1, 1],
                  end_mask=[0, 1, 0], shrink_axis_mask=[1, 0, 1])
    yield strided(random, x, np.s_[..., 2:4], [0, 2], [0, 4], [1, 1], ellipsis_mask=[1, 0])
    yield strided(random, x, np.s_[1:2, ..., None, 0], [1, 0, 0, 0], [2, 0, 0, 1], [1, 1, 1, 1],
                  ellipsis_mask=[0, 1, 0, 0], new_axis_mask=[0, 0, 1, 0],
                  shrink_axis_mask=[0, 0, 0, 1])
    yield strided(random, x, np.s_[None, 1:9], [0, 1], [0, 9], [], new_axis_mask=[1, 0])
    yield strided(random, x, np.s_[-3:-1], [-3], [-1], [1])


def move_cases(random):
    x = normal(random, 2, 3, 4)
    for mode in ("symmetric", "reflect", "edge"):
        m = Ir()
        p = m.parameter("x", f32, [2, 3, 4])
        m.result(m.layer("Pad", [p, m.ints(0, 2, 1), m.ints(1, 1, 3)], pad_mode=mode))
        yield Case(f"pad {mode}", m, [x], [np.pad(x, [(0, 1), (2, 1), (1, 3)], mode)])
    m = Ir()
    p = m.parameter("x", f32, [2, 3, 4])
    m.result(m.layer("Pad", [p, m.ints(0, -1, 1), m.ints(1, 0, -2), m.const(f32(7))], opset=12,
                     pad_mode="constant"))
    want = np.pad(x[:, 1:, :2], [(0, 1), (0, 0), (1, 0)], constant_values=7)
    yield Case("pad negative", m, [x], [want])
    m = Ir()
    p = m.parameter("x", f32, [2, 3, 4])
    m.result(m.layer("Reverse", [p, m.ints(-1, 0)], mode="index"))
    m.result(m.layer("Reverse", [p, m.const(np.array([False, True, False]))], mode="mask"))
    yield Case("reverse", m, [x], [x[::-1, :, ::-1], x[:, ::-1]])
    m = Ir()
    p = m.parameter("x", f32, [2, 6, 2])
    y = normal(random, 2, 6, 2)
    m.result(m.layer("ShuffleChannels", [p], axis=1, group=3))
    yield Case("shuffle", m, [y], [y.reshape(2, 3, 2, 2).swapaxes(1, 2).reshape(2, 6, 2)])
    m = Ir()
    p = m.parameter("x", f32, [3, 4])
    m.result(m.layer("Broadcast", [p, m.ints(2, 3, 5, 4), m.ints(1, 3)], opset=3, mode="explicit"))
    y = normal(random, 3, 4)
    yield Case("broadcast explicit", m, [y],
               [np.broadcast_to(y[None, :, None], (2, 3, 5, 4))])
    m = Ir()
    p = m.parameter("x", f32, [1, 8, 4, 6])
    y = normal(random, 1, 8, 4, 6)
    m.result(m.layer("SpaceToDepth", [p], mode="depth_first", block_size=2))
    m.result(m.layer("DepthToSpace", [p], mode="depth_first", block_size=2))
    deep = y.reshape(1, 8, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(1, 32, 2, 3)
    flat = y.reshape(1, 2, 2, 2, 4, 6).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 8, 12)
    yield Case("blocks", m, [y], [deep, flat])
    m = Ir()
    p = m.parameter("x", f32, [2, 3, 4])
    shape = m.layer("ShapeOf", [p], opset=3, output_type="i32")
    part = m.layer("Gather", [shape, m.ints(0, 2), m.ints(0)], opset=1)
    m.result(m.layer("Reshape", [p, m.layer("Concat", [part, m.ints(-1, dtype=np.int32)], axis=0)],
                     special_zero=False))
    m.result(m.layer("Reshape", [p, m.ints(0, -1)], special_zero=True))
    yield Case("shapes", m, [x], [x.reshape(2, 4, 3), x.reshape(2, 12)])


def index_cases(random):
    data = normal(random, 2, 5, 4)
    at = random.integers(0, 5, (2, 3)).astype(np.int32)
    m = Ir()
    p, i = m.parameter("x", f32, [2, 5, 4]), m.parameter("i", np.int32, [2, 3])
    m.result(m.layer("Gather", [p, i, m.ints(1)], opset=8, batch_dims=1))
    m.result(m.layer("Gather", [p, i, m.ints(1)], opset=8, batch_dims=0))
    want = np.stack([data[b][at[b]] for b in range(2)])
    yield Case("gather batch", m, [data, at], [want, data[:, at]])
    m = Ir()
    p, i = m.parameter("x", f32, [2, 4, 5]), m.parameter("i", np.int32, [2, 3])
    m.result(m.layer("Gather", [p, i, m.ints(2)], opset=8, batch_dims=1))
    y = normal(random, 2, 4, 5)
    yield Case("gather batch behind", m, [y, at],
               [np.stack([y[b][:, at[b]] for b in range(2)])])
    m = Ir()
    p, i = m.parameter("x", f32, [4, 6]), m.parameter("i", np.int64, [2])
    u = m.parameter("u", f32, [4, 2])
    m.result(m.layer("ScatterUpdate", [p, i, u, m.ints(1)], opset=3))
    y, update, cols = normal(random, 4, 6), normal(random, 4, 2), np.array([5, 1])
    want = y.copy()
    want[:, cols] = update
    yield Case("scatter update", m, [y, cols, update], [want])
    m = Ir()
    p = m.parameter("x", f32, [3, 7])
    m_out = m.layer("TopK", [p, m.const(np.array(3, np.int32))], outputs=2, opset=3, axis=1,
                    mode="max", sort="index", index_element_type="i32")
    m.result(m_out[0])
    m.result(m_out[1])
    y = normal(random, 3, 7)
    order = np.sort(np.argsort(-y, axis=1)[:, :3], axis=1).astype(np.int32)
    yield Case("top k by index", m, [y], [np.take_along_axis(y, order, 1), order])
    m = Ir()
    p = m.parameter("i", np.int32, [4])
    m.result(m.layer("OneHot", [p, m.const(np.array(3)), m.const(f32(2)), m.const(f32(-1))],
                     axis=0))
    at = np.array([0, 2, -1, 5], np.int32)
    want = np.full((3, 4), -1, f32)
    want[0, 0] = want[2, 1] = 2
    yield Case("one hot outside", m, [at], [want])


# ---- Arithmetic ----

def math_cases(random):
    x = np.array([-2.5, -1.5, -0.5, -0.3, 0.49999997, 0.5, 1.5, 2.5, 1e9], f32)
    m = Ir()
    p = m.parameter("x", f32, [9])
    m.result(m.layer("Round", [p], opset=5, mode="half_away_from_zero"))
    m.result(m.layer("Round", [p], opset=5, mode="half_to_even"))
    away = np.array([-3, -2, -1, 0, 0, 1, 2, 3, 1e9], f32)
    yield Case("round", m, [x], [away, np.round(x)])
    a, b = np.array([7, -7, 7, -7, 6], np.int32), np.array([3, 3, -3, -3, 3], np.int32)
    m = Ir()
    p, q = m.parameter("a", np.int32, [5]), m.parameter("b", np.int32, [5])
    m.result(m.layer("Divide", [p, q]))
    m.result(m.layer("Divide", [p, q], m_pythondiv=False))
    m.result(m.layer("Mod", [p, q]))
    m.result(m.layer("FloorMod", [p, q]))
    m.result(m.layer("SquaredDifference", [p, q]))
    m.result(m.layer("NotEqual", [p, q]))
    yield Case("integers", m, [a, b], [a // b, np.trunc(a / b).astype(np.int32), np.fmod(a, b),
                                       np.mod(a, b), (a - b) ** 2, a != b])
    x = normal(random, 2, 3, 4)
    m = Ir()
    p = m.parameter("x", f32, [2, 3, 4])
    m.result(m.layer("HSigmoid", [p], opset=5))
    m.result(m.layer("Swish", [p, m.const(f32(1.5))], opset=4))
    m.result(m.layer("Gelu", [p], opset=7, approximation_mode="TANH"))
    m.result(m.layer("GRN", [p], bias=0.5))
    m.result(m.layer("IsFinite", [p], opset=10))
    m.result(m.layer("Add", [p, m.const(normal(random, 1, 1, 1) * 0 + 1)], auto_broadcast="pdpd"))
    c = math.sqrt(2 / math.pi)
    yield Case("activations", m, [x], [
        np.clip(x + 3, 0, 6) / 6, x / (1 + np.exp(-1.5 * x)),
        0.5 * x * (1 + np.tanh(c * (x + 0.044715 * x ** 3))),
        x / np.sqrt((x * x).sum(1, keepdims=True) + 0.5), np.isfinite(x), x + 1])
    m = Ir()
    p = m.parameter("x", f32, [2, 3, 4])
    m.result(m.layer("NormalizeL2", [p, m.ints(1)], eps=0.1, eps_mode="add"))
    m.result(m.layer("NormalizeL2", [p, m.ints(-1, 1)], eps=20.0, eps_mode="max"))
    m.result(m.layer("MVN", [p], across_channels=True, normalize_variance=True, eps=0.01))
    m.result(m.layer("MVN", [p], across_channels=False, normalize_variance=False, eps=0.01))
    m.result(m.layer("MVN", [p, m.ints(2)], opset=6, normalize_variance=True, eps=0.5,
                     eps_mode="outside_sqrt"))
    both = x - x.mean((1, 2), keepdims=True)
    last = x - x.mean(2, keepdims=True)
    yield Case("normalisation", m, [x], [
        x / np.sqrt((x * x).sum(1, keepdims=True) + 0.1),
        x / np.sqrt(np.maximum((x * x).sum((1, 2), keepdims=True), 20)),
        both / np.sqrt((both * both).mean((1, 2), keepdims=True) + 0.01), last,
        last / (np.sqrt((last * last).mean(2, keepdims=True)) + 0.5)])
    flags = random.integers(0, 2, (3, 4)).astype(bool)
    m = Ir()
    p = m.parameter("x", bool, [3, 4])
    m.result(m.layer("ReduceLogicalAnd", [p, m.ints(1)], keep_dims=False))
    m.result(m.layer("ReduceLogicalOr", [p, m.const(np.array(0))], keep_dims=True))
    yield Case("logical reductions", m, [flags], [flags.all(1), flags.any(0, keepdims=True)])
    m = Ir(version=10)
    p = m.parameter("x", f32, [2, 3, 4])
    g, b, mean, var = (normal(random, 3) for _ in range(4))
    var = abs(var) + f32(0.1)
    m.result(m.layer("BatchNormInference", [m.const(g), m.const(b), p, m.const(mean),
                                            m.const(var)], eps=1e-3))
    each = np.s_[None, :, None]
    yield Case("batch norm, first form", m, [x],
               [(x - mean[each]) / np.sqrt(var[each] + f32(1e-3)) * g[each] + b[each]])


# ---- Pools and convolutions ----

def pool_reference(x, kernel, stride, begin, out, exclude, padded):
    y = np.zeros(x.shape[:2] + (out,), np.float64)
    for i in range(out):
        lo, hi = i * stride - begin, i * stride - begin + kernel
        inside = x[:, :, max(lo, 0):max(min(hi, x.shape[2]), 0)]
        count = inside.shape[2] if exclude or not padded else kernel
        y[:, :, i] = inside.sum(2, dtype=np.float64) / count
    return y.astype(f32)


def pool_cases(random):
    x = normal(random, 1, 2, 7)
    for exclude, begin, end, rounding in itertools.product((True, False), (0, 1), (0, 1),
                                                          ("floor", "ceil")):
        span = 7 + begin + end - 3
        out = (-(-span // 2) if rounding == "ceil" else span // 2) + 1
        m = Ir()
        p = m.parameter("x", f32, [1, 2, 7])
        m.result(m.layer("AvgPool", [p], kernel=[3], strides=[2], pads_begin=[begin],
                         pads_end=[end], exclude__pad=exclude, rounding_type=rounding,
                         auto_pad="explicit"))
        yield Case(f"avg pool {exclude} {begin} {end} {rounding}", m, [x],
                   [pool_reference(x, 3, 2, begin, out, exclude, begin + end > 0)])
    m = Ir()
    p = m.parameter("x", f32, [1, 2, 8])
    y = normal(random, 1, 2, 8)
    out = m.layer("MaxPool", [p], outputs=2, opset=8, kernel=[2], strides=[2], dilations=[1],
                  pads_begin=[0], pads_end=[0], auto_pad="explicit", rounding_type="floor",
                  index_element_type="i32", axis=2)
    m.result(out[0])
    m.result(out[1])
    pairs = y.reshape(1, 2, 4, 2)
    yield Case("max pool places", m, [y], [pairs.max(3), (pairs.argmax(3) + 2 * np.arange(4)
                                                          ).astype(np.int32)])


# ---- Interpolate ----

def coordinate(mode, i, scale, to, length):
    if mode == "half_pixel":
        return (i + 0.5) / scale - 0.5
    if mode == "asymmetric":
        return i / scale
    return 0 if to == 1 else i * (length - 1) / (to - 1)


def interpolated(x, axis, to, mode, coordinates, nearest):
    length = x.shape[axis]
    scale = to / length
    rows = []
    for i in range(to):
        at = coordinate(coordinates, i, scale, to, length)
        if mode == "nearest":
            if nearest == "simple":
                at = math.ceil(at) if scale < 1 else int(at)
            else:
                at = math.floor(at)
            rows.append(np.take(x, min(max(at, 0), length - 1), axis))
            continue
        low = math.floor(at)
        rest = at - low
        a, b = (np.take(x, min(max(k, 0), length - 1), axis) for k in (low, low + 1))
        rows.append(a * (1 - rest) + b * rest)
    return np.stack(rows, axis)


def interpolate_cases(random):
    x = normal(random, 1, 2, 6, 5)
    for mode, nearest, coordinates in (("nearest", "simple", "asymmetric"),
                                       ("nearest", "floor", "half_pixel"),
                                       ("linear", "floor", "half_pixel"),
                                       ("linear_onnx", "floor", "align_corners")):
        m = Ir()
        p = m.parameter("x", f32, [1, 2, 6, 5])
        m.result(m.layer("Interpolate", [p, m.ints(3, 10), m.const(np.array([0.5, 2], f32)),
                                         m.ints(2, 3)], opset=4, mode=mode, nearest_mode=nearest,
                         shape_calculation_mode="sizes", antialias=False,
                         coordinate_transformation_mode=coordinates))
        want = interpolated(x.astype(np.float64), 2, 3, mode, coordinates, nearest)
        want = interpolated(want, 3, 10, mode, coordinates, nearest).astype(f32)
        yield Case(f"interpolate {mode} {nearest} {coordinates}", m, [x], [want])
    for mode, corners, coordinates in (("nearest", False, "asymmetric"),
                                       ("linear", True, "align_corners"),
                                       ("linear", False, "asymmetric")):
        m = Ir(version=10)
        p = m.parameter("x", f32, [1, 2, 6, 5])
        m.result(m.layer("Interpolate", [p, m.ints(12, 10)], axes=[2, 3], mode=mode,
                         align_corners=corners, antialias=False, pads_begin=[0], pads_end=[0]))
        want = interpolated(x.astype(np.float64), 2, 12, mode, coordinates, "simple")
        want = interpolated(want, 3, 10, mode, coordinates, "simple").astype(f32)
        yield Case(f"interpolate-1 {mode} {corners}", m, [x], [want])


# ---- Quantisation ----

def fake_quantize(x, il, ih, ol, oh, levels):
    v = np.round((x - il) / (ih - il) * f32(levels - 1)) / f32(levels - 1) * (oh - ol) + ol
    v = np.where(x > np.maximum(il, ih), oh, v)
    return np.where(x <= np.minimum(il, ih), ol, v).astype(f32)


def fake_cases(random):
    x = (normal(random, 2, 3, 5) * 2).astype(f32)
    scale = np.array([0.02, 0.03, 0.05], f32).reshape(3, 1)
    wide = [
        ("symmetric", f32(-1.28), f32(1.27), f32(-1.28), f32(1.27), 256),
        ("positive", f32(0), f32(2.55), f32(0), f32(2.55), 256),
        ("odd", f32(-1.27), f32(1.27), f32(-1.27), f32(1.27), 255),
        ("sixteen", f32(-0.8), f32(0.7), f32(-0.8), f32(0.7), 16),
        ("other output", f32(-1.28), f32(1.27), f32(-2.56), f32(2.54), 256),
        ("no grid", f32(-1), f32(1.3), f32(0.3), f32(2), 256),
        ("many", f32(-1), f32(1), f32(-1), f32(1), 1024),
        ("channels", -128 * scale, 127 * scale, -128 * scale, 127 * scale, 256),
        ("channels, cut", -127 * scale, 127 * scale, -127 * scale, 127 * scale, 255),
        ("channels in", -128 * scale, 127 * scale, f32(-1.28), f32(1.27), 256),
    ]
    for name, il, ih, ol, oh, levels in wide:
        bounds = [np.asarray(v, f32) for v in (il, ih, ol, oh)]
        m = Ir()
        p = m.parameter("x", f32, [2, 3, 5])
        m.result(m.layer("FakeQuantize", [p, *[m.const(v) for v in bounds]], levels=levels))
        want = fake_quantize(x, *bounds, levels)
        step = float(np.max((bounds[3] - bounds[2]) / (levels - 1)))
        # A number between two codes may become either of them.
        yield Case(f"fake quantize {name}", m, [x], [want], rtol=0, atol=1.01 * step)
        m = Ir()
        p = m.parameter("y", f32, [2, 3, 5])
        w = m.layer("FakeQuantize", [m.const(x), *[m.const(v) for v in bounds]], levels=levels)
        m.result(m.layer("Multiply", [p, w]))
        yield Case(f"fake quantize {name}, constant", m, [np.ones_like(x)], [want], atol=2e-6)


def compressed(random, kind, zero, group, half):
    """Weights of 4 or 8 bits [6, 8], in groups along the second axis or not."""
    signed = kind[0] == "i"
    bits = int(kind[1:])
    lo, hi = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    codes = random.integers(lo, hi + 1, (6, 8))
    shape = (6, 2, 4) if group else (6, 8)
    scales = random.uniform(0.01, 0.1, (6, 2, 1) if group else (6, 1))
    real = np.float16 if half else f32
    scales = scales.astype(real)
    zeros = random.integers(lo, hi + 1, scales.shape).astype(real)
    m = Ir()
    x = m.parameter("x", f32, [3, 8])
    if bits == 4:
        nibbles = (codes & 15).reshape(-1, 2)
        w = m.const((nibbles[:, 0] | nibbles[:, 1] << 4).astype(np.uint8), kind, list(shape))
    else:
        w = m.const(codes.astype(np.int8 if signed else np.uint8).reshape(shape))
    w = m.layer("Convert", [w], destination_type="f16" if half else "f32")
    numbers = codes.reshape(shape).astype(f32)
    if zero:
        w = m.layer("Subtract", [w, m.const(zeros)])
        numbers = numbers - zeros.astype(f32)
    w = m.layer("Multiply", [w, m.const(scales)])
    numbers = numbers * scales.astype(f32)
    if group:
        w = m.layer("Reshape", [w, m.ints(6, 8)], special_zero=False)
    if half:
        w = m.layer("Convert", [w], destination_type="f32")
    m.result(m.layer("MatMul", [x, w], transpose_a=False, transpose_b=True))
    a = normal(random, 3, 8)
    return Case(f"compressed {kind} {zero} {group} {half}", m, [a],
                [a @ numbers.reshape(6, 8).T], rtol=2e-3 if half else 1e-5, atol=0.05 if half
                else 1e-5)


def compressed_cases(random):
    for kind, zero, group, half in itertools.product(("u8", "i8", "u4", "i4"), (False, True),
                                                     (False, True), (False, True)):
        yield compressed(random, kind, zero, group, half)


def quantized_network(random, depthwise=False):
    """Two quantised layers: every number is on a grid, so the result can be computed."""
    m = Ir()
    x = m.parameter("x", f32, [1, 3, 6, 6])

    def bounds(lo, hi):
        values = [m.const(np.asarray(v, f32)) for v in (lo, hi)]
        return values + values

    s = f32(0.05)
    q = m.layer("FakeQuantize", [x, *bounds(-128 * s, 127 * s)], levels=256)
    w = random.integers(-127, 128, (4, 3, 3, 3)).astype(f32) * f32(0.01)
    high = np.full((4, 1, 1, 1), 1.27, f32)
    wq = m.layer("FakeQuantize", [m.const(w), *bounds(-high, high)], levels=255)
    y = m.layer("Convolution", [q, wq], strides=[1, 1], dilations=[1, 1], pads_begin=[1, 1],
                pads_end=[1, 1], auto_pad="explicit")
    bias = normal(random, 1, 4, 1, 1)
    y = m.layer("ReLU", [m.layer("Add", [y, m.const(bias)])])
    y = m.layer("FakeQuantize", [y, *bounds(0, 255 * f32(0.04))], levels=256)
    a = random.integers(-128, 128, (1, 3, 6, 6)).astype(f32) * s
    if depthwise:
        w2 = random.integers(-127, 128, (4, 1, 3, 3)).astype(f32) * f32(0.01)
        wq2 = m.layer("FakeQuantize", [m.const(w2), *bounds(-high, high)], levels=255)
        wq2 = m.layer("Reshape", [wq2, m.ints(4, 1, 1, 3, 3)], special_zero=False)
        y = m.layer("GroupConvolution", [y, wq2], strides=[1, 1], dilations=[1, 1],
                    pads_begin=[0, 0], pads_end=[0, 0], auto_pad="explicit")
        y = m.layer("FakeQuantize", [y, *bounds(-128 * f32(0.1), 127 * f32(0.1))], levels=256)
    m.result(y)
    padded = np.pad(a, [(0, 0), (0, 0), (1, 1), (1, 1)])
    want = np.zeros((1, 4, 6, 6), np.float64)
    for i, k in itertools.product(range(3), range(3)):
        want += np.einsum("nchw,mc->nmhw", padded[:, :, i:i + 6, k:k + 6], w[:, :, i, k])
    want = np.maximum(want + bias, 0).astype(f32)
    want = fake_quantize(want, f32(0), 255 * f32(0.04), f32(0), 255 * f32(0.04), 256)
    step = 0.04
    if depthwise:
        small = np.zeros((1, 4, 4, 4))
        for i, k in itertools.product(range(3), range(3)):
            small += want[:, :, i:i + 4, k:k + 4] * w2[None, :, 0, i, k, None, None]
        want, step = fake_quantize(small.astype(f32), *[f32(-12.8), f32(12.7)] * 2, 256), 0.2
    return Case(f"quantised network {depthwise}", m, [a], [want], rtol=0, atol=1.01 * step)


def quantized_cases(random):
    yield quantized_network(random)
    yield quantized_network(random, True)


# ---- State and control flow ----

def state_cases(random):
    m = Ir()
    x = m.parameter("x", f32, [2, 3])
    held = m.layer("ReadValue", [m.const(np.full((2, 3), 5, f32))], opset=3, variable_id="sum")
    y = m.layer("Add", [x, held])
    m.layer("Assign", [y], outputs=0, opset=3, variable_id="sum")
    m.result(y)
    steps = [normal(random, 2, 3) for _ in range(3)]
    sums, total = [], np.full((2, 3), 5, f32)
    for s in steps:
        total = total + s
        sums.append([total])
    yield Case("state", m, [[s] for s in steps], sums)
    m = Ir()
    x = m.parameter("x", f32, [1, 4])
    held = m.layer("ReadValue", [], opset=6, variable_id="last", variable_shape=[1, 4],
                   variable_type="f32")
    m.layer("Assign", [x], outputs=1, opset=6, variable_id="last")
    m.result(m.layer("Subtract", [x, held]))
    steps = [normal(random, 1, 4) for _ in range(3)]
    last = [np.zeros((1, 4), f32)] + steps[:-1]
    yield Case("state of zeros", m, [[s] for s in steps], [[s - t] for s, t in zip(steps, last)])


def port_map(inputs, outputs, back):
    text = "<port_map>" + "".join(f"<input {a}/>" for a in inputs)
    text += "".join(f"<output {a}/>" for a in outputs) + "</port_map>"
    return text + "<back_edges>" + "".join(f'<edge from-layer="{a}" to-layer="{b}"/>'
                                           for a, b in back) + "</back_edges>"


def iterator_case(random, reverse):
    """A running sum along axis 1 in parts of one."""
    m = Ir()
    x = m.parameter("x", f32, [2, 5, 3])
    start = m.parameter("h", f32, [2, 1, 3])
    body = Ir(data=m.data)
    part = body.parameter("part", f32, [2, 1, 3])
    state = body.parameter("state", f32, [2, 1, 3])
    y = body.layer("Add", [part, state])
    out = body.result(y)
    ends = 'start="-1" end="0" stride="-1"' if reverse else 'start="0" end="-1" stride="1"'
    maps = port_map([f'external_port_id="0" internal_layer_id="{part[0]}" axis="1" {ends}',
                     f'external_port_id="1" internal_layer_id="{state[0]}"'],
                    [f'external_port_id="2" internal_layer_id="{out}" axis="1" {ends}',
                     f'external_port_id="3" internal_layer_id="{out}"'], [(out, state[0])])
    made = m.layer("TensorIterator", [x, start], outputs=2, inner=maps + body.body())
    m.result(made[0])
    m.result(made[1])
    a, h = normal(random, 2, 5, 3), normal(random, 2, 1, 3)
    order = a[:, ::-1] if reverse else a
    sums = np.cumsum(order, axis=1, dtype=f32) + h
    return Case(f"tensor iterator {reverse}", m, [a, h],
                [sums[:, ::-1] if reverse else sums, sums[:, -1:]])


def loop_case(random, rounds, stop):
    """x doubles each round and grows by its number; a condition may end it."""
    m = Ir()
    x = m.parameter("x", f32, [2])
    body = Ir(data=m.data)
    i = body.parameter("i", np.int64, [])
    v = body.parameter("v", f32, [2])
    y = body.layer("Multiply", [v, body.const(f32(2))])
    y = body.layer("Add", [y, body.layer("Convert", [i], destination_type="f32")])
    out = body.result(y)
    more = body.layer("Less", [i, body.const(np.array(stop))])
    condition = body.result(more)
    row = body.result(body.layer("Unsqueeze", [y, body.ints(0)]))
    maps = port_map(
        ['external_port_id="-1" internal_layer_id="%d" purpose="current_iteration"' % i[0],
         f'external_port_id="2" internal_layer_id="{v[0]}"'],
        ['external_port_id="-1" internal_layer_id="%d" purpose="execution_condition"' % condition,
         f'external_port_id="3" internal_layer_id="{out}"',
         f'external_port_id="4" internal_layer_id="{row}" axis="0"'], [(out, v[0])])
    made = m.layer("Loop", [m.const(np.array(rounds)), m.const(np.array(True)), x], outputs=2,
                   opset=5, inner=maps + body.body())
    m.result(made[0])
    m.result(made[1])
    a = normal(random, 2)
    y, rows = a, []
    for k in itertools.count():
        if 0 <= rounds <= k:
            break
        y = y * f32(2) + f32(k)
        rows.append(y)
        if not k < stop:
            break
    return Case(f"loop {rounds} {stop}", m, [a], [y, np.stack(rows)])


def if_case(random, taken):
    m = Ir()
    x = m.parameter("x", f32, [3])
    text = ""
    for tag, kind in (("then", "Exp"), ("else", "Negative")):
        body = Ir(data=m.data)
        p = body.parameter("p", f32, [3])
        out = body.result(body.layer(kind, [p]))
        text += f"<{tag}_port_map><input external_port_id=\"1\" internal_layer_id=\"{p[0]}\"/>"
        text += f"<output external_port_id=\"0\" internal_layer_id=\"{out}\"/></{tag}_port_map>"
        text += body.body(f"{tag}_body")
    m.result(m.layer("If", [m.const(np.array(taken)), x], opset=8, inner=text))
    a = normal(random, 3)
    return Case(f"if {taken}", m, [a], [np.exp(a) if taken else -a])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell_cases(random):
    x, h, c = normal(random, 2, 3), normal(random, 2, 4), normal(random, 2, 4)
    w, r, b = normal(random, 16, 3), normal(random, 16, 4), normal(random, 16)
    m = Ir()
    p = [m.parameter(n, f32, list(v.shape)) for n, v in (("x", x), ("h", h), ("c", c))]
    out = m.layer("LSTMCell", p + [m.const(v) for v in (w, r, b)], outputs=2, opset=4,
                  hidden_size=4)
    m.result(out[0])
    m.result(out[1])
    f, i, g, o = np.split(x @ w.T + h @ r.T + b, 4, axis=1)
    cell = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    yield Case("lstm cell", m, [x, h, c], [sigmoid(o) * np.tanh(cell), cell])
    for linear in (False, True):
        w, r, b = normal(random, 12, 3), normal(random, 12, 4), normal(random, 12 + 4 * linear)
        m = Ir()
        p = [m.parameter(n, f32, list(v.shape)) for n, v in (("x", x), ("h", h))]
        m.result(m.layer("GRUCell", p + [m.const(v) for v in (w, r, b)], opset=3, hidden_size=4,
                         linear_before_reset=linear))
        a, u = np.split(x @ w.T, 3, axis=1), np.split(h @ r.T, 3, axis=1)
        e = np.split(b, 3 + linear)
        z, reset = sigmoid(a[0] + u[0] + e[0]), sigmoid(a[1] + u[1] + e[1])
        hidden = reset * (u[2] + e[3]) + e[2] if linear else (reset * h) @ r[8:].T + e[2]
        yield Case(f"gru cell {linear}", m, [x, h], [(1 - z) * np.tanh(a[2] + hidden) + z * h])
    w, r, b = normal(random, 4, 3), normal(random, 4, 4), normal(random, 4)
    m = Ir()
    p = [m.parameter(n, f32, list(v.shape)) for n, v in (("x", x), ("h", h))]
    m.result(m.layer("RNNCell", p + [m.const(v) for v in (w, r, b)], opset=3, hidden_size=4,
                     activations="relu", clip=0.5))
    yield Case("rnn cell", m, [x, h], [np.maximum(np.clip(x @ w.T + h @ r.T + b, -0.5, 0.5), 0)])
    seq = normal(random, 2, 5, 3)
    h0, c0 = normal(random, 2, 2, 4), normal(random, 2, 2, 4)
    w, r, b = normal(random, 2, 16, 3), normal(random, 2, 16, 4), normal(random, 2, 16)
    m = Ir()
    p = [m.parameter(n, f32, list(v.shape)) for n, v in (("x", seq), ("h", h0), ("c", c0))]
    out = m.layer("LSTMSequence", p + [m.const(np.full(2, 5, np.int64))]
                  + [m.const(v) for v in (w, r, b)], outputs=3, opset=5, hidden_size=4,
                  direction="bidirectional")
    for v in out:
        m.result(v)
    y, ho, co = np.zeros((2, 2, 5, 4), f32), h0.copy(), c0.copy()
    for d in range(2):
        h, c = h0[:, d], c0[:, d]
        for t in (range(5) if d == 0 else reversed(range(5))):
            f, i, g, o = np.split(seq[:, t] @ w[d].T + h @ r[d].T + b[d], 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            y[:, d, t] = h
        ho[:, d], co[:, d] = h, c
    yield Case("lstm sequence, both ways", m, [seq, h0, c0], [y, ho, co], atol=1e-5)


def control_cases(random):
    yield iterator_case(random, False)
    yield iterator_case(random, True)
    yield loop_case(random, 4, 100)
    yield loop_case(random, -1, 3)
    yield if_case(random, True)
    yield if_case(random, False)


MAKERS = (strided_cases, move_cases, index_cases, math_cases, pool_cases, interpolate_cases,
          fake_cases, compressed_cases, quantized_cases, state_cases, control_cases, cell_cases)


# ---- Running ----

def compare(case, call, got):
    want = case.results[call]
    if len(got) != len(want):
        raise harness.Failure(f"{len(got)} outputs, expected {len(want)}")
    for raw, y in zip(got, want):
        y = np.asarray(y)
        x = harness.view_as(np.asarray(raw).reshape(-1), y)
        if y.dtype.kind == "f":
            np.testing.assert_allclose(x.astype(np.float64), y.astype(np.float64),
                                       rtol=case.rtol, atol=case.atol)
        else:
            np.testing.assert_array_equal(x, y)


def check_compiled(args, case, path, folder, level):
    source, header = harness.compile_model(args.mcc, path, folder,
                                           [level, "-Wno-model", *case.options])
    library = harness.build_shared(source, args.cc, ["-std=c99", "-O1", "-w"], folder,
                                   "model" + level)
    interface = harness.Interface(header)
    state = harness.new_state(library, interface)
    for i, inputs in enumerate(case.calls):
        compare(case, i, harness.call(library, interface, inputs, state))


def check_interpreter(args, case, path, folder):
    if len(case.calls) == 1:
        got = harness.run_engine(args.mcc_run, "interp", path, folder, case.calls[0],
                                 len(case.results[0]), case.options)
        compare(case, 0, got)


def run_case(args, case):
    with harness.scratch_folder() as folder:
        path = case.ir.save(folder)
        try:
            for level in ("-O0", "-O2"):
                check_compiled(args, case, path, folder, level)
            check_interpreter(args, case, path, folder)
        except (harness.Failure, harness.Unsupported, AssertionError) as e:
            return " ".join(str(e).split())[:400]
    return None


def check_integers(args):
    """A model that is quantised from its inputs to its outputs has no floats inside."""
    case = quantized_network(np.random.default_rng(1), True)
    with harness.scratch_folder() as folder:
        source, _ = harness.compile_model(args.mcc, case.ir.save(folder), folder, ["-O2"])
        try:
            harness.check_integer_only(source, ("requantize",))
        except harness.Failure as e:
            return str(e)
    return None


def check_dummy(args):
    """The model of ../shared, whose expected output was recorded by its makers."""
    folder = os.path.join(HERE, "..", "..", "..", "shared", "models", "ir_dummy")
    if not os.path.isdir(folder):
        print("skipped: no ../shared/models/ir_dummy")
        return None
    x, want = (np.load(os.path.join(folder, f"case0_{k}0.npy")) for k in ("in", "out"))
    with harness.scratch_folder() as scratch:
        got = harness.run_engine(args.mcc_run, "interp", os.path.join(folder, "model.xml"), scratch,
                                 [x], 1)
    return None if harness.same_bytes(got[0], want.reshape(-1)) else "not y = x + 1"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--cc", default="gcc")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("names", nargs="*", help="beginnings of names of cases (default: all)")
    args = p.parse_args()
    random = np.random.default_rng(args.seed)
    failed = total = 0
    for case in itertools.chain(*(make(random) for make in MAKERS)):
        if args.names and not any(case.name.startswith(n) for n in args.names):
            continue
        total += 1
        error = run_case(args, case)
        if error:
            failed += 1
            print(f"{case.name}: {error}", flush=True)
    for check in () if args.names else (check_integers, check_dummy):
        error = check(args)
        total += 1
        failed += error is not None
        if error:
            print(f"{check.__name__}: {error}", flush=True)
    print(f"{total - failed} of {total} models pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
