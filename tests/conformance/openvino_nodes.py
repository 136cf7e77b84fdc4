#!/usr/bin/python3
"""Runs ONNX's official operator tests as OpenVINO IR through mcc and a C compiler.

The tests are Debian's libonnx-testdata.  Each model of one node whose operator OpenVINO has
too is written as IR here (CONVERT below, following OpenVINO's operator specifications); mcc
compiles that, and the results are compared with the recorded outputs: floats within rtol
1e-3, atol 1e-7 (ONNX's own), all others equal.  Inputs that decide about shapes become
constants with their recorded values.
"""
import argparse
import concurrent.futures
import glob
import os
import sys

import numpy as np

import harness
from onnx_nodes import data_sets, load_tensor
from openvino_file import Ir, element

sys.dont_write_bytecode = True


class Skip(Exception):
    """The test has no equivalent in OpenVINO, or this converter does not know it."""


class Job:
    """One node: its attributes, the recorded inputs, and the IR that is made."""

    def __init__(self, ir, node, data):
        import onnx
        self.m, self.node, self.data = ir, node, data
        self.attr = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        self.value = {}   # inputs that are parameters, by number
        self.inputs = []  # numbers of the inputs that are parameters, in order

    def text(self, name, otherwise):
        v = self.attr.get(name, otherwise)
        return v.decode() if isinstance(v, bytes) else v

    def has(self, i):
        return i < len(self.data) and self.data[i] is not None

    def x(self, i):
        """Input i as a parameter."""
        if not self.has(i):
            raise Skip("an input is missing")
        if i not in self.value:
            a = self.data[i]
            if not isinstance(a, np.ndarray) or a.dtype.kind not in "fiub":
                raise Skip("no tensor of numbers")
            self.value[i] = self.m.parameter(f"in{i}", a.dtype, list(a.shape))
        return self.value[i]

    def c(self, i, dtype=None):
        """Input i as a constant."""
        a = self.data[i]
        return self.m.const(a if dtype is None else a.astype(dtype))

    def f(self, i, value):
        """A number of input i's type."""
        return self.m.const(np.array(value, self.data[i].dtype))

    def layer(self, kind, inputs, **data):
        return self.m.layer(kind, inputs, **data)


def simple(kind, opset=1, **fixed):
    return lambda j: j.layer(kind, [j.x(i) for i in range(len(j.data))], opset=opset, **fixed)


def chain(kind):
    """An operator of any number of inputs as several of two."""
    def convert(j):
        y = j.x(0)
        for i in range(1, len(j.data)):
            y = j.layer(kind, [y, j.x(i)])
        return y
    return convert


def logical_or_bit(kind):
    return lambda j: j.layer(kind, [j.x(0), j.x(1)])


def clip(j):
    x = j.x(0)
    if j.data[0].dtype.kind != "f":
        raise Skip("bounds of integers may be absent")
    lo = float(j.data[1]) if j.has(1) else -3.4e38
    hi = float(j.data[2]) if j.has(2) else 3.4e38
    return j.layer("Clamp", [x], min=lo, max=hi)


def elu(j):
    return j.layer("Elu", [j.x(0)], alpha=float(j.attr.get("alpha", 1)))


def leaky(j):
    return j.layer("PReLU", [j.x(0), j.f(0, [j.attr.get("alpha", 0.01)])])


def prelu(j):
    return j.layer("PReLU", [j.x(0), j.x(1)])


def hard_sigmoid(j):
    return j.layer("HardSigmoid", [j.x(0), j.f(0, j.attr.get("alpha", 0.2)),
                                   j.f(0, j.attr.get("beta", 0.5))])


def selu(j):
    return j.layer("Selu", [j.x(0), j.f(0, j.attr.get("alpha", 1.67326319217681884765625)),
                            j.f(0, j.attr.get("gamma", 1.05070102214813232421875))])


def mod(j):
    fmod = j.attr.get("fmod", 0)
    return j.layer("Mod" if fmod else "FloorMod", [j.x(0), j.x(1)])


def power(j):
    if j.data[0].dtype != j.data[1].dtype:
        raise Skip("operands of two types")
    return j.layer("Power", [j.x(0), j.x(1)])


def cast(j):
    import onnx
    to = j.attr["to"]
    kinds = {onnx.TensorProto.FLOAT: "f32", onnx.TensorProto.FLOAT16: "f16",
             onnx.TensorProto.DOUBLE: "f64", onnx.TensorProto.INT32: "i32",
             onnx.TensorProto.INT64: "i64", onnx.TensorProto.BOOL: "boolean",
             onnx.TensorProto.UINT8: "u8", onnx.TensorProto.INT8: "i8"}
    if to not in kinds or j.data[0].dtype.kind not in "fiub" or \
            str(j.data[0].dtype) == "uint16":
        raise Skip("a type that is not converted")
    return j.layer("Convert", [j.x(0)], destination_type=kinds[to])


def is_inf(j):
    return j.layer("IsInf", [j.x(0)], opset=10,
                   detect_negative=bool(j.attr.get("detect_negative", 1)),
                   detect_positive=bool(j.attr.get("detect_positive", 1)))


def axes_of(j, i):
    if "axes" in j.attr:
        return list(j.attr["axes"])
    return [int(a) for a in j.data[i]] if j.has(i) else None


def reduction(kind, opset=1):
    def convert(j):
        axes = axes_of(j, 1)
        rank = j.data[0].ndim
        if not axes:
            if j.attr.get("noop_with_empty_axes", 0):
                axes = []
            else:
                axes = list(range(rank))
        return j.layer(kind, [j.x(0), j.m.const(np.array(axes, np.int64))], opset=opset,
                       keep_dims=bool(j.attr.get("keepdims", 1)))
    return convert


def cum_sum(j):
    return j.layer("CumSum", [j.x(0), j.c(1)], opset=3,
                   exclusive=bool(j.attr.get("exclusive", 0)),
                   reverse=bool(j.attr.get("reverse", 0)))


def top_k(j):
    return j.layer("TopK", [j.x(0), j.c(1)], outputs=2, opset=3, axis=j.attr.get("axis", -1),
                   mode="max" if j.attr.get("largest", 1) else "min", sort="value",
                   index_element_type="i64")


def reshape(j):
    if j.attr.get("allowzero", 0):
        return j.layer("Reshape", [j.x(0), j.c(1)], special_zero=False)
    return j.layer("Reshape", [j.x(0), j.c(1)], special_zero=True)


def squeeze(j):
    axes = axes_of(j, 1)
    inputs = [j.x(0)]
    if axes is not None:
        inputs.append(j.m.const(np.array(axes, np.int64)))
    return j.layer("Squeeze", inputs)


def unsqueeze(j):
    return j.layer("Unsqueeze", [j.x(0), j.m.const(np.array(axes_of(j, 1), np.int64))])


def shape(j):
    if "start" in j.attr or "end" in j.attr:
        raise Skip("a part of a shape")
    return j.layer("ShapeOf", [j.x(0)], opset=3, output_type="i64")


def expand(j):
    return j.layer("Broadcast", [j.x(0), j.c(1)], opset=3, mode="bidirectional")


def tile(j):
    return j.layer("Tile", [j.x(0), j.c(1)])


def ranged(j):
    return j.layer("Range", [j.c(0), j.c(1), j.c(2)], opset=4,
                   output_type=element(j.data[0].dtype)[0])


def transpose(j):
    perm = j.attr.get("perm", [])
    return j.layer("Transpose", [j.x(0), j.m.const(np.array(list(perm), np.int64))])


def concat(j):
    return j.layer("Concat", [j.x(i) for i in range(len(j.data))], axis=j.attr["axis"])


def split(j):
    axis = j.m.ints(j.attr.get("axis", 0))
    n = len(j.node.output)
    if "split" in j.attr or j.has(1):
        lengths = j.attr["split"] if "split" in j.attr else [int(v) for v in j.data[1]]
        return j.layer("VariadicSplit", [j.x(0), axis, j.m.ints(*lengths)], outputs=n)
    return j.layer("Split", [j.x(0), axis], outputs=n, num_splits=n)


def slice_(j):
    n = len(j.data[1])
    axes = j.c(3) if j.has(3) else j.m.ints(*range(n))
    steps = j.c(4) if j.has(4) else j.m.ints(*[1] * n)
    return j.layer("Slice", [j.x(0), j.c(1), j.c(2), steps, axes], opset=8)


def pad(j):
    rank = j.data[0].ndim
    pads = [int(p) for p in j.data[1]]
    inputs = [j.x(0), j.m.ints(*pads[:rank]), j.m.ints(*pads[rank:])]
    if j.has(2):
        inputs.append(j.c(2))
    return j.layer("Pad", inputs, opset=12, pad_mode=j.text("mode", "constant"))


def gather(j):
    return j.layer("Gather", [j.x(0), j.x(1), j.m.ints(j.attr.get("axis", 0))], opset=8,
                   batch_dims=0)


def gather_elements(j):
    return j.layer("GatherElements", [j.x(0), j.x(1)], opset=6, axis=j.attr.get("axis", 0))


def gather_nd(j):
    return j.layer("GatherND", [j.x(0), j.x(1)], opset=8, batch_dims=j.attr.get("batch_dims", 0))


def scatter_elements(j):
    words = {"none": "none", "add": "sum", "mul": "prod", "min": "min", "max": "max"}
    return j.layer("ScatterElementsUpdate",
                   [j.x(0), j.x(1), j.x(2), j.m.ints(j.attr.get("axis", 0))], opset=12,
                   reduction=words[j.text("reduction", "none")])


def scatter_nd(j):
    words = {"none": "none", "add": "sum", "mul": "prod", "min": "min", "max": "max"}
    return j.layer("ScatterNDUpdate", [j.x(0), j.x(1), j.x(2)], opset=15,
                   reduction=words[j.text("reduction", "none")])


def one_hot(j):
    if (j.data[0] < 0).any() or j.data[0].dtype.kind != "i":
        raise Skip("indices that count from the end, or that are no integers")
    off, on = j.data[2]
    return j.layer("OneHot", [j.x(0), j.m.ints(int(j.data[1].reshape(-1)[0])), j.f(2, on),
                              j.f(2, off)], axis=j.attr.get("axis", -1))


def reverse_sequence(j):
    return j.layer("ReverseSequence", [j.x(0), j.x(1)], batch_axis=j.attr.get("batch_axis", 1),
                   seq_axis=j.attr.get("time_axis", 0))


def depth_to_space(j):
    mode = {"DCR": "blocks_first", "CRD": "depth_first"}[j.text("mode", "DCR")]
    return j.layer("DepthToSpace", [j.x(0)], mode=mode, block_size=j.attr["blocksize"])


def space_to_depth(j):
    return j.layer("SpaceToDepth", [j.x(0)], mode="blocks_first", block_size=j.attr["blocksize"])


def resize(j):
    if any(k in j.attr for k in ("axes", "keep_aspect_ratio_policy", "antialias")) or \
            j.attr.get("exclude_outside", 0):
        raise Skip("an attribute that OpenVINO does not have")
    coordinates = j.text("coordinate_transformation_mode", "half_pixel")
    if coordinates == "tf_crop_and_resize":
        raise Skip("a crop")
    mode = {"nearest": "nearest", "linear": "linear_onnx",
            "cubic": "cubic"}[j.text("mode", "nearest")]
    sizes = j.has(3) and len(j.data[3]) > 0
    given = j.m.const(j.data[3] if sizes else j.data[2])
    rank = j.data[0].ndim
    return j.layer("Interpolate", [j.x(0), given, j.m.ints(*range(rank))], opset=11, mode=mode,
                   shape_calculation_mode="sizes" if sizes else "scales",
                   coordinate_transformation_mode=coordinates,
                   nearest_mode=j.text("nearest_mode", "round_prefer_floor"),
                   cube_coeff=float(j.attr.get("cubic_coeff_a", -0.75)))


def resize_old(j):
    """The same with sizes and scales as two inputs."""
    if j.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize" or \
            j.attr.get("exclude_outside", 0):
        raise Skip("an attribute that OpenVINO does not have")
    sizes = j.has(3) and len(j.data[3]) > 0
    rank = j.data[0].ndim
    shape = np.array(j.data[3] if sizes else
                     np.floor(np.array(j.data[2]) * j.data[0].shape), np.int64)
    scales = np.array(j.data[2] if not sizes else shape / j.data[0].shape, np.float32)
    mode = {"nearest": "nearest", "linear": "linear", "cubic": "cubic"}[j.text("mode", "nearest")]
    return j.layer("Interpolate", [j.x(0), j.m.const(shape), j.m.const(scales),
                                   j.m.ints(*range(rank))],
                   opset=4, mode=mode, shape_calculation_mode="sizes" if sizes else "scales",
                   coordinate_transformation_mode=j.text("coordinate_transformation_mode",
                                                         "half_pixel"),
                   nearest_mode=j.text("nearest_mode", "round_prefer_floor"),
                   cube_coeff=float(j.attr.get("cubic_coeff_a", -0.75)))


def matmul(j):
    return j.layer("MatMul", [j.x(0), j.x(1)], transpose_a=False, transpose_b=False)


def gemm(j):
    y = j.layer("MatMul", [j.x(0), j.x(1)], transpose_a=bool(j.attr.get("transA", 0)),
                transpose_b=bool(j.attr.get("transB", 0)))
    if j.attr.get("alpha", 1) != 1:
        y = j.layer("Multiply", [y, j.f(0, j.attr["alpha"])])
    if not j.has(2):
        return y
    bias = j.x(2)
    if j.attr.get("beta", 1) != 1:
        bias = j.layer("Multiply", [bias, j.f(0, j.attr["beta"])])
    return j.layer("Add", [y, bias])


def windows(j, kernel):
    n = len(kernel)
    words = {"NOTSET": "explicit", "SAME_UPPER": "same_upper", "SAME_LOWER": "same_lower",
             "VALID": "valid"}
    pads = list(j.attr.get("pads", [0] * 2 * n))
    return dict(strides=list(j.attr.get("strides", [1] * n)), pads_begin=pads[:n],
                pads_end=pads[n:], auto_pad=words[j.text("auto_pad", "NOTSET")])


def add_bias(j, y):
    if not j.has(2):
        return y
    shape = [1, len(j.data[2])] + [1] * (j.data[0].ndim - 2)
    b = j.layer("Reshape", [j.x(2), j.m.ints(*shape)], special_zero=False)
    return j.layer("Add", [y, b])


def grouped(j, w, group):
    shape = list(j.data[1].shape)
    return j.layer("Reshape", [w, j.m.ints(group, shape[0] // group, *shape[1:])],
                   special_zero=False)


def conv(j):
    n = j.data[0].ndim - 2
    group = j.attr.get("group", 1)
    data = windows(j, j.data[1].shape[2:])
    data["dilations"] = list(j.attr.get("dilations", [1] * n))
    if group == 1:
        return add_bias(j, j.layer("Convolution", [j.x(0), j.x(1)], **data))
    x = j.x(0)
    return add_bias(j, j.layer("GroupConvolution", [x, grouped(j, j.x(1), group)], **data))


def conv_transpose(j):
    n = j.data[0].ndim - 2
    group = j.attr.get("group", 1)
    data = windows(j, j.data[1].shape[2:])
    data["dilations"] = list(j.attr.get("dilations", [1] * n))
    data["output_padding"] = list(j.attr.get("output_padding", [0] * n))
    inputs = [j.x(0), j.x(1) if group == 1 else grouped(j, j.x(1), group)]
    kind = "ConvolutionBackpropData" if group == 1 else "GroupConvolutionBackpropData"
    if "output_shape" in j.attr:
        inputs.append(j.m.ints(*list(j.attr["output_shape"])[-n:]))
        if data["auto_pad"] == "explicit":
            data["auto_pad"] = "same_lower" if "pads" not in j.attr else "explicit"
    elif data["auto_pad"].startswith("same"):
        inputs.append(j.m.ints(*[s * k for s, k in zip(j.data[0].shape[2:], data["strides"])]))
        # OpenVINO has the halves of an odd pad the other way round.
        data["auto_pad"] = {"same_upper": "same_lower",
                            "same_lower": "same_upper"}[data["auto_pad"]]
    return add_bias(j, j.layer(kind, inputs, **data))


def pool_rounding(j):
    # ONNX drops a window that begins behind the input.
    return "ceil_torch" if j.attr.get("ceil_mode", 0) else "floor"


def max_pool(j):
    kernel = list(j.attr["kernel_shape"])
    if j.attr.get("storage_order", 0):
        raise Skip("indices by columns")
    n = len(j.node.output)
    return j.layer("MaxPool", [j.x(0)], outputs=2, opset=14, kernel=kernel,
                   rounding_type=pool_rounding(j), index_element_type="i64", axis=0,
                   dilations=list(j.attr.get("dilations", [1] * len(kernel))),
                   **windows(j, kernel))[:n]


def avg_pool(j):
    kernel = list(j.attr["kernel_shape"])
    return j.layer("AvgPool", [j.x(0)], opset=14, kernel=kernel, rounding_type=pool_rounding(j),
                   exclude__pad=not j.attr.get("count_include_pad", 0), **windows(j, kernel))


def global_pool(kind):
    def convert(j):
        axes = list(range(2, j.data[0].ndim))
        return j.layer(kind, [j.x(0), j.m.ints(*axes)], keep_dims=True)
    return convert


def softmax(kind, opset):
    return lambda j: j.layer(kind, [j.x(0)], opset=opset, axis=j.attr.get("axis", -1))


def batch_norm(j):
    if j.attr.get("training_mode", 0):
        raise Skip("training")
    return j.layer("BatchNormInference", [j.x(i) for i in range(5)], opset=5,
                   epsilon=float(j.attr.get("epsilon", 1e-5)))


def instance_norm(j):
    rank = j.data[0].ndim
    y = j.layer("MVN", [j.x(0), j.m.ints(*range(2, rank))], opset=6, normalize_variance=True,
                eps=float(j.attr.get("epsilon", 1e-5)), eps_mode="inside_sqrt")
    shape = j.m.ints(1, -1, *[1] * (rank - 2))
    y = j.layer("Multiply", [y, j.layer("Reshape", [j.x(1), shape], special_zero=False)])
    return j.layer("Add", [y, j.layer("Reshape", [j.x(2), shape], special_zero=False)])


def layer_norm(j):
    rank = j.data[0].ndim
    axis = j.attr.get("axis", -1)
    y = j.layer("MVN", [j.x(0), j.m.ints(*range(axis % rank, rank))], opset=6,
                normalize_variance=True, eps=float(j.attr.get("epsilon", 1e-5)),
                eps_mode="inside_sqrt")
    y = j.layer("Multiply", [y, j.x(1)])
    if len(j.node.output) > 1:
        raise Skip("mean and deviation")
    return j.layer("Add", [y, j.x(2)]) if j.has(2) else y


def mean_variance(j):
    return j.layer("MVN", [j.x(0), j.m.ints(*j.attr.get("axes", [0, 2, 3]))], opset=6,
                   normalize_variance=True, eps=1e-9, eps_mode="outside_sqrt")


def lrn(j):
    return j.layer("LRN", [j.x(0), j.m.ints(1)], size=j.attr["size"],
                   alpha=float(j.attr.get("alpha", 1e-4)), beta=float(j.attr.get("beta", 0.75)),
                   bias=float(j.attr.get("bias", 1)))


def gates(w, order, n):
    parts = np.split(w, n, axis=1)
    return np.concatenate([parts[i] for i in order], axis=1)


def recurrent(kind, n, order):
    """W, R and B become constants with the gates in OpenVINO's order."""
    def convert(j):
        if j.attr.get("layout", 0) or j.text("direction", "forward") != "forward":
            raise Skip("a layout or direction that has no test here")
        if len(j.node.output) < 1:
            raise Skip("no output")
        x = j.x(0)
        time, batch = j.data[0].shape[:2]
        hidden = j.attr["hidden_size"]
        w, r = (gates(j.data[i], order, n) for i in (1, 2))
        linear = bool(j.attr.get("linear_before_reset", 0))
        b = j.data[3] if j.has(3) else np.zeros((1, 2 * n * hidden), np.float32)
        wb, rb = (gates(v, order, n) for v in np.split(b, 2, axis=1))
        bias = wb + rb
        if linear:
            parts = np.split(wb, 3, axis=1), np.split(rb, 3, axis=1)
            bias = np.concatenate([parts[0][0] + parts[1][0], parts[0][1] + parts[1][1],
                                   parts[0][2], parts[1][2]], axis=1)
        if j.has(7):
            raise Skip("peepholes of a sequence")
        batched = j.layer("Transpose", [x, j.m.ints(1, 0, 2)])

        def state(i):
            if not j.has(i):
                return j.m.const(np.zeros((batch, 1, hidden), np.float32))
            return j.layer("Transpose", [j.x(i), j.m.ints(1, 0, 2)])
        states = [state(5)] + ([state(6)] if n == 4 else [])
        lengths = j.x(4) if j.has(4) else j.m.const(np.full(batch, time, np.int32))
        data = dict(hidden_size=hidden, direction="forward")
        if kind == "GRUSequence":
            data["linear_before_reset"] = linear
        out = j.layer(kind, [batched, *states, lengths, j.m.const(w), j.m.const(r),
                             j.m.const(bias.astype(np.float32))],
                      outputs=3 if n == 4 else 2, opset=5, **data)
        y = j.layer("Transpose", [out[0], j.m.ints(2, 1, 0, 3)])
        rest = [j.layer("Transpose", [o, j.m.ints(1, 0, 2)]) for o in out[1:]]
        return [y, *rest][:len(j.node.output)]
    return convert


def einsum(j):
    raise Skip("the graph IR has other letters")


def where(j):
    return j.layer("Select", [j.x(0), j.x(1), j.x(2)])


def divide(j):
    if j.data[0].dtype.kind != "f":
        return j.layer("Divide", [j.x(0), j.x(1)], m_pythondiv=False)
    return j.layer("Divide", [j.x(0), j.x(1)])


def not_equal(j):
    return j.layer("LogicalNot", [j.layer("NotEqual", [j.x(0), j.x(1)])])


def swish_like(j):
    return j.layer("HSwish", [j.x(0)], opset=4)


def arg(kind):
    """As a TopK of one element."""
    def convert(j):
        if j.attr.get("select_last_index", 0):
            raise Skip("the last of equal elements")
        axis = j.attr.get("axis", 0)
        _, at = j.layer("TopK", [j.x(0), j.m.const(np.array(1, np.int64))], outputs=2, opset=3,
                        axis=axis, mode=kind, sort="value", index_element_type="i64")
        return at if j.attr.get("keepdims", 1) else j.layer("Squeeze", [at, j.m.ints(axis)])
    return convert


CONVERT = {
    "Abs": simple("Abs"), "Acos": simple("Acos"), "Acosh": simple("Acosh", 4),
    "Asin": simple("Asin"), "Asinh": simple("Asinh", 4), "Atan": simple("Atan"),
    "Atanh": simple("Atanh", 4), "Ceil": simple("Ceiling"), "Cos": simple("Cos"),
    "Cosh": simple("Cosh"), "Erf": simple("Erf"), "Exp": simple("Exp"), "Floor": simple("Floor"),
    "HardSwish": swish_like, "IsNaN": simple("IsNaN", 10), "Log": simple("Log"),
    "Not": simple("LogicalNot"), "Mish": simple("Mish", 4), "Neg": simple("Negative"),
    "Relu": simple("ReLU"), "Sigmoid": simple("Sigmoid"), "Sign": simple("Sign"),
    "Sin": simple("Sin"), "Sinh": simple("Sinh"), "Softplus": simple("SoftPlus", 4),
    "Softsign": simple("SoftSign", 9), "Sqrt": simple("Sqrt"), "Tan": simple("Tan"),
    "Tanh": simple("Tanh"), "Round": simple("Round", 5, mode="half_to_even"),
    "Identity": simple("Identity", 15), "Clip": clip, "Elu": elu, "LeakyRelu": leaky,
    "PRelu": prelu, "HardSigmoid": hard_sigmoid, "Selu": selu, "Cast": cast,
    "CastLike": simple("ConvertLike"), "IsInf": is_inf,
    "Add": simple("Add"), "Sub": simple("Subtract"), "Mul": simple("Multiply"), "Div": divide,
    "Mod": mod, "Pow": power, "Max": chain("Maximum"), "Min": chain("Minimum"),
    "Sum": chain("Add"), "And": simple("LogicalAnd"), "Or": simple("LogicalOr"),
    "Xor": simple("LogicalXor"), "BitwiseAnd": simple("BitwiseAnd", 13),
    "Equal": not_equal, "Greater": simple("Greater"), "GreaterOrEqual": simple("GreaterEqual"),
    "Less": simple("Less"), "LessOrEqual": simple("LessEqual"), "Where": where,
    "ReduceL1": reduction("ReduceL1", 4), "ReduceL2": reduction("ReduceL2", 4),
    "ReduceMax": reduction("ReduceMax"), "ReduceMean": reduction("ReduceMean"),
    "ReduceMin": reduction("ReduceMin"), "ReduceProd": reduction("ReduceProd"),
    "ReduceSum": reduction("ReduceSum"), "CumSum": cum_sum, "TopK": top_k,
    "ArgMax": arg("max"), "ArgMin": arg("min"),
    "Reshape": reshape, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Shape": shape,
    "Expand": expand, "Tile": tile, "Range": ranged, "Transpose": transpose, "Concat": concat,
    "Split": split, "Slice": slice_, "Pad": pad, "Gather": gather,
    "GatherElements": gather_elements, "GatherND": gather_nd,
    "ScatterElements": scatter_elements, "ScatterND": scatter_nd, "OneHot": one_hot,
    "ReverseSequence": reverse_sequence, "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth, "Resize": resize, "Resize old": resize_old,
    "MatMul": matmul, "Gemm": gemm, "Conv": conv, "ConvTranspose": conv_transpose,
    "MaxPool": max_pool, "AveragePool": avg_pool, "GlobalAveragePool": global_pool("ReduceMean"),
    "GlobalMaxPool": global_pool("ReduceMax"), "Softmax": softmax("SoftMax", 8),
    "LogSoftmax": softmax("LogSoftmax", 5), "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm, "LayerNormalization": layer_norm,
    "MeanVarianceNormalization": mean_variance, "LRN": lrn,
    "LSTM": recurrent("LSTMSequence", 4, (2, 0, 3, 1)),
    "GRU": recurrent("GRUSequence", 3, (0, 1, 2)), "RNN": recurrent("RNNSequence", 1, (0,)),
}


def one_node(folder):
    import onnx
    model = onnx.load(os.path.join(folder, "model.onnx"), load_external_data=False)
    if len(model.graph.node) != 1 or model.graph.initializer:
        raise Skip("not one node")
    return model.graph, model.graph.node[0]


def convert(graph, node, inputs, converter):
    """The IR, and the recorded inputs that it still has, in order."""
    data, given = [], dict(zip([i.name for i in graph.input], inputs))
    for name in node.input:
        data.append(given.get(name) if name else None)
    ir = Ir()
    j = Job(ir, node, data)
    out = converter(j)
    for v in out if isinstance(out, list) else [out]:
        ir.result(v)
    return ir, [data[i] for i in j.value]


def is_plain(graph):
    """Whether all values are tensors, and none of a type that numpy does not have."""
    import onnx
    types = [v.type for v in (*graph.input, *graph.output)]
    return all(t.WhichOneof("value") == "tensor_type"
               and t.tensor_type.elem_type != onnx.TensorProto.BFLOAT16 for t in types)


def run_set(args, graph, node, files, converter):
    inputs, outputs = files
    if not is_plain(graph):
        raise Skip("a type that is not converted")
    if any(not name for name in node.output):
        raise Skip("an output is left out")
    ir, arrays = convert(graph, node, [load_tensor(f) for f in inputs], converter)
    with harness.scratch_folder() as scratch:
        path = ir.save(scratch)
        source, header = harness.compile_model(args.mcc, path, scratch, ["-Wno-model"])
        library = harness.build_shared(source, args.cc, ["-std=c99", "-O0", "-w"], scratch)
        got = harness.call(library, harness.Interface(header), arrays)
    for raw, file in zip(got, outputs):
        want = load_tensor(file)
        y = harness.view_as(raw, want)
        if want.dtype.kind == "f":
            np.testing.assert_allclose(y.astype(np.float64), want.astype(np.float64), rtol=1e-3,
                                       atol=1e-7)
        else:
            np.testing.assert_array_equal(y, want)


def run_test(args, folder, converter_name):
    try:
        graph, node = one_node(folder)
        converter = CONVERT.get(converter_name or node.op_type)
        if not converter or (converter_name and not converter_name.startswith(node.op_type)):
            return "skip", node.op_type
        for files in data_sets(folder):
            run_set(args, graph, node, files, converter)
    except Skip as e:
        return "skip", str(e)
    except Exception as e:  # also of data that numpy cannot read
        return "fail", f"{type(e).__name__}: {' '.join(str(e).split())[:300]}"
    return "pass", ""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--cc", default="gcc")
    p.add_argument("--data", default="/usr/share/libonnx-testdata/data/node")
    p.add_argument("--jobs", "-j", type=int, default=os.cpu_count())
    p.add_argument("--least", type=int, default=0, help="fail when fewer tests pass")
    p.add_argument("--verbose", "-v", action="store_true", help="print what is skipped, and why")
    p.add_argument("tests", nargs="*", help="names of tests (default: all)")
    args = p.parse_args()
    if not os.path.isdir(args.data):
        print(f"skipped: no {args.data} (Debian package libonnx-testdata)")
        return 77
    folders = [d for d in sorted(glob.glob(os.path.join(args.data, "test_*")))
               if not args.tests or os.path.basename(d) in args.tests]
    jobs = [(d, None) for d in folders]
    jobs += [(d, "Resize old") for d in folders if os.path.basename(d).startswith("test_resize")]
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        results = list(pool.map(run_test, [args] * len(jobs), [d for d, _ in jobs],
                                [c for _, c in jobs], chunksize=8))
    for (folder, _), (status, detail) in zip(jobs, results):
        if status == "fail" or (args.verbose and status == "skip"):
            print(f"{status}: {os.path.basename(folder)}: {detail}")
    count = {s: sum(r[0] == s for r in results) for s in ("pass", "fail", "skip")}
    print(f"{count['pass']} pass, {count['fail']} fail, {count['skip']} have no equivalent")
    return 1 if count["fail"] or (not args.tests and count["pass"] < args.least) else 0


if __name__ == "__main__":
    sys.exit(main())
