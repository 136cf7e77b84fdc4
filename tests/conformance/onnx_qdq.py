#!/usr/bin/python3
"""Quantised ONNX models against ONNX Runtime.

onnx_qdq.npz holds small models with their inputs and the outputs of ONNX Runtime:
one operator each between DequantizeLinear and QuantizeLinear, the operators on
quantised tensors, and chains of them.  mcc compiles each to C; outputs of one
operator must be those of ONNX Runtime within one step, of chains within three (each
operator of a chain may be one step off).  Sums of integers are equal.  The C of
models without a float tensor must be free of floating point, but that of
DynamicQuantizeLinear, and what -O0 computes
must be the same bytes.

--record=DIR makes the file anew; DIR is where onnxruntime-node is installed
(npm install --ignore-scripts onnxruntime-node).
"""
import argparse
import io
import json
import os
import re
import subprocess
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, "onnx_qdq.npz")
CHAIN_STEPS = 3


def run_case(args, name, case, folder):
    """Steps of the largest difference."""
    model = os.path.join(folder, "m.onnx")
    open(model, "wb").write(case["model"].tobytes())
    inputs = [case[f"in{k}"] for k in range(sum(k.startswith("in") for k in case))]
    wants = [case[f"out{k}"] for k in range(sum(k.startswith("out") for k in case))]
    results = []
    for level in ("-O0", "-O2"):
        source, header = harness.compile_model(args.mcc, model, folder, [level])
        floats = any(x.dtype.kind == "f" for x in inputs + wants)
        if not floats and "dynamic" not in name:
            harness.check_integer_only(source)
        library = harness.build_shared(source, args.cc, ["-std=c99", "-O1", "-w"], folder,
                                       "m" + level[1:])
        interface = harness.Interface(header)
        samples = len(inputs[0])
        got = [harness.call(library, interface, [x[s] for x in inputs]) for s in range(samples)]
        results.append(got)
    worst = 0.0
    for s in range(samples):
        for k, want in enumerate(wants):
            if not harness.same_bytes(results[0][s][k], results[1][s][k]):
                raise harness.Failure(f"-O0 and -O2 differ in output {k}")
            y = harness.view_as(results[1][s][k], want[s])
            if want.dtype.kind == "f":
                scale = float(np.abs(want[s]).max(initial=1e-30))
                if not np.allclose(y, want[s], rtol=1e-5, atol=1e-5 * scale):
                    raise harness.Failure(f"output {k} is off by {np.abs(y - want[s]).max()}")
                continue
            worst = max(worst, float(np.abs(y.astype(np.int64) - want[s]).max(initial=0)))
    allowed = CHAIN_STEPS if name.startswith("chain") else 0 if "_integer" in name else 1
    if worst > allowed:
        raise harness.Failure(f"off by {worst:g} steps")
    return worst


def load_cases(path):
    cases = {}
    with np.load(path) as f:
        for key in f.files:
            name, part = key.rsplit("/", 1)
            cases.setdefault(name, {})[part] = f[key]
    return cases


# ---- Recording: needs python3-onnx and onnxruntime-node ----

RUNNER = """
const ort = require('onnxruntime-node'), fs = require('fs');
const kinds = {float32: Float32Array, uint8: Uint8Array, int8: Int8Array, int16: Int16Array,
               uint16: Uint16Array, int32: Int32Array, bool: Uint8Array};
(async () => {
  const jobs = JSON.parse(fs.readFileSync(process.argv[2])), answers = [];
  for (const job of jobs) {
    try {
      const s = await ort.InferenceSession.create(
        job.model, {graphOptimizationLevel: 'disabled', logSeverityLevel: 4});
      const runs = [];
      for (const sample of job.samples) {
        const feeds = {};
        for (const t of sample)
          feeds[t.name] = new ort.Tensor(t.type,
            t.type == 'int64' ? BigInt64Array.from(t.data.map(BigInt)) : kinds[t.type].from(t.data),
            t.dims);
        const r = await s.run(feeds);
        runs.push(s.outputNames.map(n => ({type: r[n].type, dims: r[n].dims,
                                           data: Array.from(r[n].data, Number)})));
      }
      answers.push({runs});
    } catch (e) { answers.push({error: String(e.message)}); }
  }
  fs.writeFileSync(process.argv[3], JSON.stringify(answers));
})();
"""


def run_ort(where, jobs, folder):
    """[(model bytes, [{name: array}])] to [[outputs of a sample]] or an error's text."""
    listed = []
    for k, (model, samples) in enumerate(jobs):
        path = os.path.join(folder, f"ort{k}.onnx")
        open(path, "wb").write(model)
        listed.append({"model": path, "samples": [
            [{"name": n, "type": x.dtype.name, "dims": list(x.shape),
              "data": x.reshape(-1).tolist()} for n, x in s.items()] for s in samples]})
    todo, done = os.path.join(folder, "todo.json"), os.path.join(folder, "done.json")
    script = os.path.join(folder, "run.js")
    json.dump(listed, open(todo, "w"))
    open(script, "w").write(RUNNER)
    subprocess.run(["node", script, todo, done], check=True,
                   env={**os.environ, "NODE_PATH": os.path.join(where, "node_modules")})
    return [a.get("error") or [[np.array(t["data"], np.dtype(t["type"])).reshape(t["dims"])
                                for t in r] for r in a["runs"]]
            for a in json.load(open(done))]


class Builder:
    """A model under construction; values are names, their shapes are not needed."""

    def __init__(self, rng, unsigned):
        self.rng, self.unsigned = rng, unsigned
        self.nodes, self.inits, self.inputs, self.samples = [], [], [], [{} for _ in range(3)]
        self.count = 0

    @property
    def code(self):
        return np.uint8 if self.unsigned else np.int8

    def name(self):
        self.count += 1
        return f"v{self.count}"

    def const(self, x):
        from onnx import numpy_helper
        name = self.name()
        self.inits.append(numpy_helper.from_array(np.asarray(x), name))
        return name

    def op(self, kind, inputs, domain="", outputs=1, **attrs):
        from onnx import helper
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attrs))
        return names[0] if outputs == 1 else names

    def input(self, shape, dtype=None):
        """A graph input of random codes."""
        dtype = np.dtype(dtype or self.code)
        name = f"x{len(self.inputs)}"
        self.inputs.append((name, dtype, shape))
        limits = (0, 2) if dtype == np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max + 1)
        for s in self.samples:
            s[name] = self.rng.integers(*limits, shape).astype(dtype)
        return name

    def scale(self, lo=0.005, hi=0.05):
        return np.float32(self.rng.uniform(lo, hi))

    def zero(self):
        return self.code(self.rng.integers(np.iinfo(self.code).min + 60,
                                           np.iinfo(self.code).max - 60))

    def params(self, scale=None, zero=None):
        return (self.const(self.scale() if scale is None else np.float32(scale)),
                self.const(self.zero() if zero is None else self.code(zero)))

    def dq(self, x, *params):
        return self.op("DequantizeLinear", [x, *(params or self.params())])

    def real(self, shape):
        """A dequantised input."""
        return self.dq(self.input(shape))

    def weights(self, shape, per_channel=None, dtype=np.int8, axis=0, scale=0.02):
        """Dequantised constant weights."""
        limits = np.iinfo(dtype)
        w = self.rng.integers(limits.min + (dtype == np.int8), limits.max + 1, shape).astype(dtype)
        zero = 0 if dtype == np.int8 else int(self.rng.integers(100, 150))
        if per_channel:
            s = self.rng.uniform(scale / 4, scale, per_channel).astype(np.float32)
            return self.op("DequantizeLinear", [self.const(w), self.const(s), self.const(
                np.full(per_channel, 0 if dtype == np.int8 else 128, dtype))], axis=axis), s
        s = np.float32(self.rng.uniform(scale / 4, scale))
        return self.op("DequantizeLinear", [self.const(w), self.const(s),
                                            self.const(dtype(zero))]), s

    def model(self, outputs):
        from onnx import TensorProto, helper, numpy_helper
        types = {np.dtype(k): v for k, v in {
            np.uint8: TensorProto.UINT8, np.int8: TensorProto.INT8, np.float32: TensorProto.FLOAT,
            np.bool_: TensorProto.BOOL, np.int32: TensorProto.INT32, np.int64: TensorProto.INT64,
        }.items()}
        graph = helper.make_graph(
            self.nodes, "g",
            [helper.make_tensor_value_info(n, types[d], s) for n, d, s in self.inputs],
            [helper.make_tensor_value_info(n, types[np.dtype(d)], None) for n, d in outputs],
            self.inits)
        m = helper.make_model(graph, opset_imports=[
            helper.make_opsetid("", 16), helper.make_opsetid("com.microsoft", 1)])
        m.ir_version = 8
        return m.SerializeToString()


def conv(b, x, channels, w_shape, per_channel=False, bias=True, dtype=np.int8, kind="Conv", **attrs):
    outputs = w_shape[0] if kind == "Conv" else w_shape[1]
    w, s = b.weights(w_shape, outputs if per_channel else None, dtype,
                     axis=0 if kind == "Conv" else 1)
    inputs = [x, w]
    if bias:
        inputs.append(b.const(b.rng.normal(0, 0.5, outputs).astype(np.float32)))
    return b.op(kind, inputs, **attrs)


SHAPE = [1, 4, 6, 6]


def float_ops():
    """name: function of a builder that gives a float result."""
    def unary(kind, shape=(1, 50), **attrs):
        return lambda b: b.op(kind, [b.real(list(shape))], **attrs)

    def binary(kind, x=(1, 3, 4, 5), y=(1, 3, 4, 5)):
        return lambda b: b.op(kind, [b.real(list(x)), b.real(list(y))])

    def matmul_bias(b):
        y = b.op("MatMul", [b.real([5, 7]), b.weights([7, 6])[0]])
        return b.op("Add", [y, b.const(b.rng.normal(0, 0.3, 6).astype(np.float32))])

    def clip(lo, hi):
        return lambda b: b.op("Clip", [b.real([40]), b.const(np.float32(lo)),
                                       b.const(np.float32(hi))])

    def conv_relu(b):
        return b.op("Relu", [conv(b, b.real(SHAPE), 4, [5, 4, 3, 3], pads=[1, 1, 1, 1])])

    def conv_clip(b):
        y = conv(b, b.real(SHAPE), 4, [5, 4, 1, 1])
        return b.op("Clip", [y, b.const(np.float32(-0.5)), b.const(np.float32(1.5))])

    def pad(value):
        return lambda b: b.op("Pad", [b.real(SHAPE), b.const(np.array([0, 0, 1, 2, 0, 0, 1, 0])),
                                      b.const(np.float32(value))])

    def resize(mode, **attrs):
        return lambda b: b.op("Resize", [b.real(SHAPE), "", b.const(
            np.array([1, 1, 2, 2], np.float32))], mode=mode, **attrs)

    def bias_i32(b):
        x_scale, x_zero = b.scale(), b.zero()
        x = b.dq(b.input([1, 3, 5, 5]), b.const(x_scale), b.const(x_zero))
        w, s = b.weights([4, 3, 3, 3], 4)
        bias = b.op("DequantizeLinear", [
            b.const(b.rng.integers(-3000, 3000, 4).astype(np.int32)),
            b.const((s * x_scale).astype(np.float32)), b.const(np.zeros(4, np.int32))], axis=0)
        return b.op("Conv", [x, w, bias])

    ops = {
        "conv": lambda b: conv(b, b.real(SHAPE), 4, [5, 4, 3, 3]),
        "conv_channels": lambda b: conv(b, b.real(SHAPE), 4, [5, 4, 3, 3], True, pads=[1] * 4),
        "conv_u8_weights": lambda b: conv(b, b.real(SHAPE), 4, [5, 4, 3, 3], dtype=np.uint8),
        "conv_u8_channels": lambda b: conv(b, b.real(SHAPE), 4, [5, 4, 2, 2], True,
                                           dtype=np.uint8),
        "conv_depthwise": lambda b: conv(b, b.real(SHAPE), 4, [4, 1, 3, 3], True, group=4,
                                         strides=[2, 2], pads=[1, 1, 0, 0]),
        "conv_groups": lambda b: conv(b, b.real(SHAPE), 4, [6, 2, 3, 3], group=2, bias=False),
        "conv_dilated": lambda b: conv(b, b.real(SHAPE), 4, [3, 4, 2, 2], dilations=[2, 3]),
        "conv_1d": lambda b: conv(b, b.real([1, 3, 11]), 3, [4, 3, 3]),
        "conv_3d": lambda b: conv(b, b.real([1, 2, 4, 4, 4]), 2, [3, 2, 2, 2, 2]),
        "conv_bias_i32": bias_i32,
        "conv_relu": conv_relu,
        "conv_clip": conv_clip,
        "conv_transpose": lambda b: conv(b, b.real(SHAPE), 4, [4, 5, 3, 3], kind="ConvTranspose",
                                         strides=[2, 2]),
        "conv_transpose_channels": lambda b: conv(b, b.real(SHAPE), 4, [4, 5, 2, 2], True,
                                                  kind="ConvTranspose"),
        "gemm": lambda b: b.op("Gemm", [b.real([3, 9]), b.weights([9, 6])[0]]),
        "gemm_bias": lambda b: b.op("Gemm", [
            b.real([3, 9]), b.weights([6, 9], 6)[0],
            b.const(b.rng.normal(0, 1, 6).astype(np.float32))], transB=1),
        "matmul": lambda b: b.op("MatMul", [b.real([2, 3, 8]), b.weights([8, 5], 5, axis=1)[0]]),
        "matmul_bias": matmul_bias,
        "matmul_two": lambda b: b.op("MatMul", [b.real([2, 3, 8]), b.real([2, 8, 5])]),
        "add": binary("Add"), "sub": binary("Sub"), "mul": binary("Mul"),
        "add_channels": binary("Add", y=(3, 1, 1)), "mul_channels": binary("Mul", y=(1, 3, 1, 1)),
        "add_number": lambda b: b.op("Add", [b.real([30]), b.const(np.float32(0.7))]),
        "mul_number": lambda b: b.op("Mul", [b.real([30]), b.const(np.float32(-1.3))]),
        "min": binary("Min"), "max": binary("Max"),
        "relu": unary("Relu"), "clip6": clip(0, 6), "clip": clip(-0.3, 0.8),
        "leaky_relu": unary("LeakyRelu", alpha=0.2),
        "prelu": lambda b: b.op("PRelu", [b.real(SHAPE), b.weights([4, 1, 1])[0]]),
        "sigmoid": unary("Sigmoid"), "tanh": unary("Tanh"), "elu": unary("Elu", alpha=0.8),
        "hard_sigmoid": unary("HardSigmoid"), "hard_swish": unary("HardSwish"),
        "softplus": unary("Softplus"), "erf": unary("Erf"), "exp": unary("Exp"),
        "neg": unary("Neg"), "abs": unary("Abs"), "floor": unary("Floor"), "sin": unary("Sin"),
        "softmax": unary("Softmax", (3, 10)), "softmax_axis": unary("Softmax", (2, 5, 3), axis=1),
        "max_pool": unary("MaxPool", SHAPE, kernel_shape=[3, 2], strides=[2, 1],
                          pads=[1, 0, 0, 1]),
        "average_pool": unary("AveragePool", SHAPE, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        "average_pool_pad": unary("AveragePool", SHAPE, kernel_shape=[2, 3], pads=[1, 1, 1, 1],
                                  count_include_pad=1),
        "global_average_pool": unary("GlobalAveragePool", SHAPE),
        "global_max_pool": unary("GlobalMaxPool", SHAPE),
        "reduce_mean": unary("ReduceMean", SHAPE, axes=[2], keepdims=0),
        "reduce_max": unary("ReduceMax", SHAPE, axes=[1, 3]),
        "concat": lambda b: b.op("Concat", [b.real([1, 2, 3]), b.real([1, 4, 3]),
                                            b.real([1, 1, 3])], axis=1),
        "pad": pad(0), "pad_value": pad(0.4),
        "resize_nearest": resize("nearest", coordinate_transformation_mode="asymmetric",
                                 nearest_mode="floor"),
        "resize_linear": resize("linear"),
        "reshape": lambda b: b.op("Reshape", [b.real(SHAPE), b.const(np.array([4, -1]))]),
        "transpose": unary("Transpose", SHAPE, perm=[0, 2, 3, 1]),
        "flatten": unary("Flatten", SHAPE),
        "slice": lambda b: b.op("Slice", [b.real([5, 6]), b.const(np.array([1])),
                                          b.const(np.array([4])), b.const(np.array([0]))]),
        "gather": lambda b: b.op("Gather", [b.real([5, 6]), b.const(np.array([4, 0, 2]))]),
        "depth_to_space": unary("DepthToSpace", SHAPE, blocksize=2),
        "where": lambda b: b.op("Where", [b.input([20], np.bool_), b.real([20]), b.real([20])]),
    }
    return ops


def q_ops():
    """name: function of a builder that gives (output, element type)."""
    ms = {"domain": "com.microsoft"}

    def params(b, x, shape=None):
        return [b.input(x), *b.params()]

    def conv_operator(b, per_channel):
        scale = b.rng.uniform(0.002, 0.01, 5 if per_channel else ()).astype(np.float32)
        w = b.rng.integers(-127, 128, (5, 4, 3, 3)).astype(np.int8)
        zero = np.zeros(5 if per_channel else (), np.int8)
        bias = b.rng.integers(-2000, 2000, 5).astype(np.int32)
        return b.op("QLinearConv", [*params(b, SHAPE), b.const(w), b.const(scale), b.const(zero),
                                    *b.params(0.05), b.const(bias)]), b.code

    def gemm_operator(b):
        w = b.rng.integers(-127, 128, (6, 9)).astype(np.int8)
        scale = b.rng.uniform(0.002, 0.01, 6).astype(np.float32)
        bias = b.rng.integers(-2000, 2000, 6).astype(np.int32)
        return b.op("QGemm", [*params(b, [2, 9]), b.const(w), b.const(scale),
                              b.const(np.zeros(6, np.int8)), b.const(bias), *b.params(0.03)],
                    transB=1, **ms), b.code

    def matmul_operator(b):
        w = b.rng.integers(-127, 128, (8, 5)).astype(np.int8)
        return b.op("QLinearMatMul", [*params(b, [2, 3, 8]), b.const(w), b.const(np.float32(0.01)),
                                      b.const(np.int8(0)), *b.params(0.05)]), b.code

    def conv_integer(b):
        w = b.rng.integers(0, 256, (5, 4, 3, 3)).astype(np.uint8)
        return b.op("ConvInteger", [b.input(SHAPE, np.uint8), b.const(w), b.const(np.uint8(121)),
                                    b.const(np.uint8(130))], pads=[1, 0, 1, 0]), np.int32

    def matmul_integer(b):
        w = b.rng.integers(-128, 128, (8, 5)).astype(np.int8)
        return b.op("MatMulInteger", [b.input([3, 8]), b.const(w), b.const(b.zero()),
                                      b.const(np.int8(3))]), np.int32

    def matmul_integer_dynamic(b):
        w = b.rng.integers(-128, 128, (8, 5)).astype(np.int8)
        x = b.dq(b.input([3, 8]))
        q, scale, zero = b.op("DynamicQuantizeLinear", [x], outputs=3)
        return b.op("MatMulInteger", [q, b.const(w), zero, b.const(np.int8(3))]), np.int32

    def concat(b):
        return b.op("QLinearConcat", [*b.params(), *params(b, [1, 2, 3]), *params(b, [1, 4, 3])],
                    axis=1, **ms), b.code

    def where(b):
        return b.op("QLinearWhere", [b.input([20], np.bool_), *params(b, [20]), *params(b, [20]),
                                     *b.params()], **ms), b.code

    def simple(kind, shape, count=1, **attrs):
        def make(b):
            inputs = [p for _ in range(count) for p in params(b, shape)]
            return b.op(kind, [*inputs, *b.params()], **ms, **attrs), b.code
        return make

    return {
        "qlinear_conv": lambda b: conv_operator(b, False),
        "qlinear_conv_channels": lambda b: conv_operator(b, True),
        "qlinear_matmul": matmul_operator, "qgemm": gemm_operator,
        "conv_integer": conv_integer, "matmul_integer": matmul_integer,
        "matmul_dynamic_integer": matmul_integer_dynamic,
        "qlinear_add": simple("QLinearAdd", [3, 7], 2),
        "qlinear_mul": simple("QLinearMul", [3, 7], 2),
        "qlinear_sigmoid": simple("QLinearSigmoid", [60]),
        "qlinear_leaky_relu": simple("QLinearLeakyRelu", [60], alpha=0.1),
        "qlinear_average_pool": simple("QLinearAveragePool", SHAPE, kernel_shape=[3, 3],
                                       pads=[1, 1, 1, 1]),
        "qlinear_global_average_pool": simple("QLinearGlobalAveragePool", SHAPE),
        "qlinear_global_average_pool_last": simple("QLinearGlobalAveragePool", [1, 5, 5, 3],
                                                   channels_last=1),
        "qlinear_softmax": simple("QLinearSoftmax", [3, 10], axis=-1, opset=13),
        "qlinear_concat": concat, "qlinear_where": where,
    }


def quantize(b, y, lo, hi):
    """Quantises y, whose numbers are in [lo, hi]."""
    lo, hi = min(lo, 0.0), max(hi, 1e-3)
    scale = np.float32((hi - lo) / 255)
    zero = int(round(-lo / scale)) + np.iinfo(b.code).min
    zero = min(max(zero, np.iinfo(b.code).min), np.iinfo(b.code).max)
    return b.op("QuantizeLinear", [y, b.const(scale), b.const(b.code(zero))]), scale, zero


def calibrated(args, b, y, folder):
    """The range of a float value for the builder's inputs."""
    answer = run_ort(args.record, [(b.model([(y, np.float32)]), b.samples)], folder)[0]
    if isinstance(answer, str):
        raise SystemExit(answer)
    values = np.concatenate([r[0].reshape(-1) for r in answer])
    return float(values.min()), float(values.max())


def chain(args, seed, folder):
    """A random network: convolutions, residual sums, pools, then a classifier."""
    b = Builder(np.random.default_rng(1000 + seed), seed % 2 == 0)
    channels, size = int(b.rng.integers(2, 5)), 8

    def step(y):
        lo, hi = calibrated(args, b, y, folder)
        y, scale, zero = quantize(b, y, lo, hi)
        return b.dq(y, b.const(scale), b.const(b.code(zero)))

    x = b.real([1, channels, size, size])
    for _ in range(int(b.rng.integers(2, 5))):
        kind = b.rng.integers(4)
        if kind == 0:
            out = int(b.rng.integers(2, 6))
            y = conv(b, x, channels, [out, channels, 3, 3], True, pads=[1] * 4)
            x, channels = step(b.op("Relu", [y])), out
        elif kind == 1:
            x = step(conv(b, x, channels, [channels, 1, 3, 3], True, pads=[1] * 4, group=channels))
        elif kind == 2:
            y = step(conv(b, x, channels, [channels, channels, 1, 1], pads=[0] * 4))
            x = step(b.op("Add", [x, y]))
        elif size > 2:
            x = step(b.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2]))
            size //= 2
    x = step(b.op("GlobalAveragePool", [x]))
    x = b.op("Flatten", [x])
    y = b.op("Gemm", [x, b.weights([5, channels], 5)[0],
                      b.const(b.rng.normal(0, 0.1, 5).astype(np.float32))], transB=1)
    if seed % 3 == 0:
        y = b.op("Softmax", [step(y)])
    lo, hi = calibrated(args, b, y, folder)
    return b, quantize(b, y, lo, hi)[0]


def record(args):
    jobs = []
    with harness.scratch_folder() as folder:
        for unsigned in (True, False):
            suffix = "_u8" if unsigned else "_i8"
            for k, (name, make) in enumerate(float_ops().items()):
                b = Builder(np.random.default_rng(k), unsigned)
                y = make(b)
                lo, hi = calibrated(args, b, y, folder)
                y = quantize(b, y, lo, hi)[0]
                jobs.append((name + suffix, b, [(y, b.code)]))
            for k, (name, make) in enumerate(q_ops().items()):
                b = Builder(np.random.default_rng(100 + k), unsigned)
                y, dtype = make(b)
                jobs.append((name + suffix, b, [(y, dtype)]))
        for seed in range(12):
            b, y = chain(args, seed, folder)
            jobs.append((f"chain{seed}", b, [(y, b.code)]))
        answers = run_ort(args.record, [(b.model(o), b.samples) for _, b, o in jobs], folder)
    arrays = {}
    for (name, b, outputs), answer in zip(jobs, answers):
        if isinstance(answer, str):
            print(f"left out: {name}: {answer[:150]}")
            continue
        arrays[f"{name}/model"] = np.frombuffer(b.model(outputs), np.uint8)
        for k, (n, _, _) in enumerate(b.inputs):
            arrays[f"{name}/in{k}"] = np.stack([s[n] for s in b.samples])
        for k in range(len(outputs)):
            arrays[f"{name}/out{k}"] = np.stack([r[k] for r in answer])
    np.savez_compressed(RECORDED, **arrays)
    print(f"{len(answers)} models, {os.path.getsize(RECORDED)} bytes")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--cc", default="gcc")
    p.add_argument("--record", metavar="DIR", help="make the recorded file anew")
    p.add_argument("names", nargs="*", help="cases (default: all)")
    args = p.parse_args()

    if args.record:
        record(args)
        return 0
    failed, exact, cases = 0, 0, load_cases(RECORDED)
    for name, case in cases.items():
        if args.names and name not in args.names:
            continue
        with harness.scratch_folder() as folder:
            try:
                worst = run_case(args, name, case, folder)
                exact += worst == 0
                print(f"{name:36} {worst:g}")
            except (harness.Failure, harness.Unsupported) as e:
                failed += 1
                print(f"{name:36} FAILED: {e}")
    print(f"{len(cases) - failed} of {len(cases)} models pass, {exact} of them equal")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
