#!/usr/bin/python3
"""Runs TFLite models that are made here and compares them with numpy.

What no model of ../shared has: hybrid operators.  The expected
numbers are computed from the definitions of TFLite's reference kernels, in numpy, and
have to be met bit for bit, but for functions such as exp (rtol 1e-5 of the range).
Every model runs through generated C at -O0 and -O2 and in the interpreter.
"""
import argparse
import os
import sys

import numpy as np

import harness
from tflite_file import F32, I32, I8, model, op, tensor

sys.dont_write_bytecode = True

f32 = np.float32


class Case:
    """A model, calls of it one after the other, and what they give."""

    def __init__(self, name, data, calls, results, tolerance=0.0):
        self.name, self.data, self.calls, self.results = name, data, calls, results
        self.tolerance = tolerance


def floats(x):
    return np.asarray(x, f32).tobytes()


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


# ---- Running ----

def compare(case, call, got, want):
    for k, y in enumerate(want):
        z = harness.view_as(got[k], y).reshape(y.shape)
        scale = np.abs(y).max(initial=1e-30) if y.dtype.kind == "f" else 1
        error = np.abs(z.astype(np.float64) - y).max(initial=0) / scale
        if not error <= case.tolerance:
            raise harness.Failure(f"call {call} output {k}: off by {error:.3g}")


def check_compiled(args, case, path, folder, level):
    source, header = harness.compile_model(args.mcc, path, folder, ["-w", level], level[1:])
    interface = harness.Interface(header)
    library = harness.build_shared(source, args.cc, ["-std=c99", level, "-w"], folder, level[1:])
    state = harness.new_state(library, interface)
    for i, (inputs, want) in enumerate(zip(case.calls, case.results)):
        compare(case, i, harness.call(library, interface, inputs, state), want)


def check_interpreter(args, case, path, folder):
    command = [args.mcc_run, path, "--engine=interp"]
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


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--cc", default="gcc")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    failed = total = 0
    for case in hybrid_cases(np.random.default_rng(args.seed)):
        error = run_case(args, case)
        total += 1
        failed += error is not None
        if error:
            print(f"{case.name}: {error}", flush=True)
    print(f"{total - failed} of {total} models pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
