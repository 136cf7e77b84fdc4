#!/usr/bin/python3
"""Writes the seed corpus of the ONNX fuzz target: small models that reach every
reader, and damaged ones.  Usage: onnx_seeds.py FOLDER"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

F, I = T.FLOAT, T.INT64
folder = sys.argv[1]


def save(name, data):
    if not isinstance(data, bytes):
        data = data.SerializeToString()
    assert len(data) < 2048, (name, len(data))
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def val(name, shape, t=F):
    return h.make_tensor_value_info(name, t, shape)


def const(name, a):
    return nh.from_array(np.array(a), name)


def model(nodes, inputs, outputs, inits=(), opset=17, functions=(), **kw):
    g = h.make_graph(nodes, "g", inputs, outputs, list(inits))
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset),
                                       h.make_opsetid("com.microsoft", 1),
                                       h.make_opsetid("local", 1)],
                     functions=list(functions), **kw)
    m.ClearField("producer_name")
    return m


def node(op, ins, outs=("y",), **kw):
    return h.make_node(op, list(ins), list(outs), **kw)


def single(name, op, shapes, out, opset=17, consts=(), outs=None, types=None, domain="", **attrs):
    """One node; inputs a, b, … with the shapes, then constants k0, k1, …"""
    ins = [chr(97 + i) for i in range(len(shapes))]
    inputs = [val(n, s, (types or {}).get(n, F)) for n, s in zip(ins, shapes) if s is not None]
    ins = [n if s is not None else "" for n, s in zip(ins, shapes)]
    inits = [const(f"k{i}", c) for i, c in enumerate(consts)]
    ins += [i.name for i in inits]
    outs = outs or [("y", out)]
    n = node(op, ins, [o[0] for o in outs], domain=domain, **attrs)
    save(name, model([n], inputs, [val(o[0], o[1], *o[2:]) for o in outs], inits, opset))


i64 = lambda *v: np.array(v, np.int64)
f32 = lambda *v: np.array(v, np.float32)

single("relu", "Relu", [[2, 3]], [2, 3])
single("add", "Add", [["N", 3], [3]], [2, 3])
single("add6", "Add", [[2, 3, 4], [3]], [2, 3, 4], opset=6, axis=1, broadcast=1)
single("clip", "Clip", [[4]], [4], consts=[np.float32(0), np.float32(6)])
single("clip6", "Clip", [[4]], [4], opset=6, min=0.0, max=6.0)
single("max", "Max", [[4], [4], [1]], [4])
single("pow", "Pow", [[4], [4]], [4], types={"b": I})
single("cast", "Cast", [[4]], None, outs=[("y", [4], T.FLOAT16)], to=T.FLOAT16)
single("where", "Where", [[4], [4], [1]], [4], types={"a": T.BOOL})
single("reshape", "Reshape", [[2, 6]], [3, 4], consts=[i64(-1, 4)])
single("reshape_dyn", "Reshape", [[2, 6], [2]], [3, 4], types={"b": I})
single("squeeze", "Squeeze", [[1, 3, 1]], [3], consts=[i64(0, -1)])
single("unsqueeze", "Unsqueeze", [[3]], [1, 3], opset=11, axes=[0])
single("expand", "Expand", [[3, 1]], [2, 3, 4], consts=[i64(2, 1, 4)])
single("tile", "Tile", [[2, 2]], [4, 2], consts=[i64(2, 1)])
single("transpose", "Transpose", [[2, 3, 4]], [4, 2, 3], perm=[2, 0, 1])
single("concat", "Concat", [[2, 3], [2, 1]], [2, 4], axis=-1)
single("split", "Split", [[2, 6]], None, outs=[("y", [2, 2]), ("z", [2, 4])], axis=1, consts=[i64(2, 4)])
single("slice", "Slice", [[4, 6]], [2, 3], consts=[i64(-1, 0), i64(-4, 6), i64(0, 1), i64(-2, 2)])
single("slice_dyn", "Slice", [[4, 6], [1], [1], [1]], [2, 6], types={"b": I, "c": I, "d": I})
single("slice9", "Slice", [[4, 6]], [2, 6], opset=9, starts=[1], ends=[3], axes=[0])
single("pad", "Pad", [[2, 3]], [4, 3], consts=[i64(1, 0, 1, 0)], mode="reflect")
single("pad_dyn", "Pad", [[2, 3], [4], []], [4, 3], types={"b": I})
single("gather", "Gather", [[4, 3]], [2, 3], consts=[i64(-1, 2)])
single("gather_elements", "GatherElements", [[3, 3], [2, 3]], [2, 3], types={"b": I})
single("gather_nd", "GatherND", [[2, 2], [2, 2]], [2], types={"b": I})
single("scatter_nd", "ScatterND", [[4], [2, 1], [2]], [4], types={"b": I})
single("scatter", "ScatterElements", [[3, 3], [1, 3], [1, 3]], [3, 3], types={"b": I})
single("one_hot", "OneHot", [[3]], [3, 5], types={"a": I}, consts=[np.int64(5), f32(0, 1)])
single("trilu", "Trilu", [[3, 3], []], [3, 3], types={"b": I}, upper=0)
single("compress", "Compress", [[3, 2], [3]], [2, 2], types={"b": T.BOOL}, axis=0)
single("non_zero", "NonZero", [[2, 2]], None, outs=[("y", [2, 3], I)])
single("reverse", "ReverseSequence", [[4, 2], [2]], [4, 2], types={"b": I})
single("depth", "DepthToSpace", [[1, 8, 2, 2]], [1, 2, 4, 4], blocksize=2, mode="CRD")
single("resize", "Resize", [[1, 1, 2, 2], None], [1, 1, 4, 4], consts=[f32(1, 1, 2, 2)], mode="cubic")
single("resize_sizes", "Resize", [[1, 1, 2, 2], None, None], [1, 1, 3, 3], consts=[i64(1, 1, 3, 3)])
single("upsample", "Upsample", [[1, 1, 2, 2]], [1, 1, 4, 4], opset=9, consts=[f32(1, 1, 2, 2)])
single("reduce", "ReduceMax", [[2, 3, 4]], [2, 1, 4], axes=[1])
single("reduce_dyn", "ReduceSum", [[2, 2, 4], [1]], [2, 4], types={"b": I}, keepdims=0)
single("argmax", "ArgMax", [[2, 3]], None, outs=[("y", [2, 1], I)], axis=1)
single("cumsum", "CumSum", [[2, 3], []], [2, 3], types={"b": T.INT32})
single("topk", "TopK", [[2, 5]], None, outs=[("y", [2, 2]), ("z", [2, 2], I)], consts=[i64(2)])
single("matmul", "MatMul", [[2, 3], [3]], [2])
single("gemm", "Gemm", [[2, 3], [4, 3], [4]], [2, 4], transB=1, alpha=0.5)
single("einsum", "Einsum", [[2, 3], [3, 4]], [2, 4], equation="...i,ij")
single("conv", "Conv", [[1, 2, 5, 5], [4, 1, 3, 3], [4]], [1, 4, 3, 3], group=2, auto_pad="SAME_UPPER", strides=[2, 2])
single("conv_t", "ConvTranspose", [[1, 1, 3, 3], [1, 2, 3, 3]], [1, 2, 10, 8], strides=[3, 2], output_shape=[10, 8])
single("max_pool", "MaxPool", [[1, 1, 4, 4]], None, outs=[("y", [1, 1, 2, 2]), ("z", [1, 1, 2, 2], I)], kernel_shape=[2, 2], strides=[2, 2])
single("avg_pool", "AveragePool", [[1, 1, 4, 4]], [1, 1, 2, 2], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
single("lp_pool", "LpPool", [[1, 1, 4]], [1, 1, 2], kernel_shape=[2], strides=[2], p=3)
single("global_pool", "GlobalAveragePool", [[1, 2, 4, 4]], [1, 2, 1, 1])
single("unpool", "MaxUnpool", [[1, 1, 2, 2], [1, 1, 2, 2]], [1, 1, 4, 4], types={"b": I}, kernel_shape=[2, 2], strides=[2, 2])
single("roi", "RoiAlign", [[1, 1, 4, 4], [1, 4], [1]], [1, 1, 2, 2], types={"c": I}, output_height=2, output_width=2)
single("grid", "GridSample", [[1, 1, 4, 4], [1, 2, 2, 2]], [1, 1, 2, 2], mode="bicubic")
single("batch_norm", "BatchNormalization", [[2, 3], [3], [3], [3], [3]], [2, 3])
single("layer_norm", "LayerNormalization", [[2, 3], [3], [3]], [2, 3], axis=-1)
single("softmax11", "Softmax", [[2, 3, 4]], [2, 3, 4], opset=11)
single("lstm", "LSTM", [[3, 1, 2], [1, 8, 2], [1, 8, 2]], None, outs=[("y", [3, 1, 1, 2]), ("h", [1, 1, 2])], hidden_size=2)
single("gru", "GRU", [[1, 3, 2], [1, 6, 2], [1, 6, 2]], [1, 3, 1, 2], hidden_size=2, layout=1)
single("quant", "QuantizeLinear", [[4]], None, outs=[("y", [4], T.UINT8)], consts=[np.float32(0.5), np.uint8(3)])
single("dequant", "DequantizeLinear", [[2, 3]], [2, 3], types={"a": T.INT8}, consts=[f32(0.5, 1), np.array([1, 2], np.int8)], axis=0)
single("dyn_quant", "DynamicQuantizeLinear", [[4]], None, outs=[("y", [4], T.UINT8), ("s", []), ("z", [], T.UINT8)])
single("qmatmul", "QLinearMatMul", [[2, 2], [], [], [2, 2], [], [], [], []], None, outs=[("y", [2, 2], T.UINT8)],
       types={k: T.UINT8 for k in "acdfh"})
single("conv_int", "ConvInteger", [[1, 1, 3, 3], [1, 1, 2, 2], []], None, outs=[("y", [1, 1, 2, 2], T.INT32)],
       types={k: T.UINT8 for k in "abc"})
single("range", "Range", [], [5], consts=[np.float32(0), np.float32(5), np.float32(1)])
single("eye", "EyeLike", [[3, 4]], [3, 4], k=1)
single("window", "HannWindow", [], [8], consts=[np.int64(8)])
single("dft", "DFT", [[1, 4, 1]], [1, 3, 2], onesided=1)
single("stft", "STFT", [[1, 16, 1]], [1, 4, 3, 2], consts=[np.int64(4), f32(1, 1, 1, 1)])
single("nll", "NegativeLogLikelihoodLoss", [[2, 3], [2], [3]], [], types={"b": I}, ignore_index=1)
single("ms_gelu", "BiasGelu", [[4], [4]], [4], domain="com.microsoft")
single("fused_conv", "FusedConv", [[1, 1, 3, 3], [1, 1, 2, 2]], [1, 1, 2, 2], domain="com.microsoft", activation="LeakyRelu", activation_params=[0.1])
single("dropout", "Dropout", [[4]], None, outs=[("y", [4]), ("m", [4], T.BOOL)])
single("unknown_op", "Frobnicate", [[4]], [4], level=3)
single("bad_attr", "Conv", [[1, 1, 3, 3], [1, 1, 2, 2]], [1, 1, 2, 2], strides=[0, 1])
single("bad_arity", "Conv", [[1, 1, 3, 3]], [1, 1, 2, 2])

# Control flow, functions, shapes.
x, y = val("x", [2, 3]), val("y", None)
body = lambda op: h.make_graph([node(op, ["x"], ["o"])], "b", [], [val("o", [2, 3])])
save("if_const", model([node("If", ["c"], then_branch=body("Relu"), else_branch=body("Neg"))], [x], [val("y", [2, 3])],
                       [const("c", True)]))
save("if_dyn", model([node("If", ["c"], then_branch=body("Relu"), else_branch=body("Neg"))],
                     [x, val("c", [], T.BOOL)], [val("y", [2, 3])]))
loop = h.make_graph([node("Add", ["s", "x"], ["s2"]), node("Identity", ["c"], ["c2"]), node("Identity", ["s2"], ["o"])],
                    "b", [val("i", [], I), val("c", [], T.BOOL), val("s", [2, 3])],
                    [val("c2", [], T.BOOL), val("s2", [2, 3]), val("o", [2, 3])])
save("loop", model([node("Loop", ["m", "", "x"], ["y", "z"], body=loop)], [x], [val("y", [2, 3]), val("z", [3, 2, 3])],
                   [const("m", np.int64(3))]))
while_ = h.make_graph([node("Add", ["s", "one"], ["s2"]), node("Less", ["s2", "max"], ["c2"])], "b",
                      [val("i", [], I), val("c", [], T.BOOL), val("s", [])], [val("c2", [], T.BOOL), val("s2", [])])
save("while", model([node("Loop", ["", "t", "zero"], ["y"], body=while_)], [x], [val("y", [])],
                    [const("t", True), const("zero", np.float32(0)), const("one", np.float32(1)), const("max", np.float32(9))]))
save("endless", model([node("Loop", ["", "", "x"], ["y", "z"], body=loop)], [x], [val("y", [2, 3]), val("z", [3, 2, 3])]))
scan = h.make_graph([node("Add", ["s", "v"], ["s2"]), node("Identity", ["s2"], ["o"])], "b",
                    [val("s", [3]), val("v", [3])], [val("s2", [3]), val("o", [3])])
save("scan", model([node("Scan", ["k", "x"], ["y", "z"], body=scan, num_scan_inputs=1, scan_input_directions=[1])], [x],
                   [val("y", [3]), val("z", [2, 3])], [const("k", f32(0, 0, 0))]))
fn = h.make_function("local", "Twice", ["a", "b"], ["c"],
                     [node("Add", ["a", "a"], ["t"]), node("LeakyRelu", ["t"], ["c"], alpha=0.5)],
                     [h.make_opsetid("", 17)], ["alpha"])
fn.node[1].attribute[0].ref_attr_name = "alpha"
fn.node[1].attribute[0].ClearField("f")
save("function", model([node("Twice", ["x"], domain="local", alpha=0.25)], [x], [val("y", [2, 3])], functions=[fn]))
rec = h.make_function("local", "Self", ["a"], ["c"], [node("Self", ["a"], ["t"], domain="local"),
                      node("Self", ["t"], ["c"], domain="local")], [h.make_opsetid("local", 1)])
save("recursive", model([node("Self", ["x"], domain="local")], [x], [val("y", [2, 3])], functions=[rec]))
save("shapes", model([node("Shape", ["x"], ["s"]), node("Gather", ["s", "z"], ["n"]), node("Unsqueeze", ["n", "a"], ["u"]),
                      node("Concat", ["u", "m"], ["c"], axis=0), node("Reshape", ["x", "c"])], [val("x", ["N", 6])],
                     [val("y", ["N", 6])], [const("z", np.int64(0)), const("a", i64(0)), const("m", i64(-1))]))
save("cycle", model([node("Add", ["x", "t"], ["u"]), node("Relu", ["u"], ["t"])], [x], [val("t", [2, 3])]))
save("self_cycle", model([node("Add", ["x", "t"], ["t"])], [x], [val("t", [2, 3])]))
save("twice", model([node("Relu", ["x"]), node("Neg", ["x"])], [x], [val("y", [2, 3])]))
save("missing", model([node("Relu", ["nowhere"])], [x], [val("y", [2, 3])]))
save("unknown_dims", model([node("Relu", ["x"])], [val("x", ["H", None, 3])], [val("y", None)]))
save("huge_dims", model([node("Relu", ["x"])], [val("x", [1 << 40, 1 << 40])], [val("y", None)]))
save("negative_dim", model([node("Relu", ["x"])], [val("x", [-5])], [val("y", None)]))
save("big_const", model([node("ConstantOfShape", ["s"], ["t"]), node("Add", ["t", "x"])], [x], [val("y", None)],
                        [const("s", i64(1 << 30, 1))]))

# Tensors.
t = const("k", f32(1, 2, 3))
for kind in ("external", "external_up"):
    e = T(name="k", data_type=F, dims=[3], data_location=T.EXTERNAL)
    for key, value in (("location", "w.bin" if kind == "external" else "../w.bin"), ("offset", "4"), ("length", "12")):
        e.external_data.add(key=key, value=value)
    save(kind, model([node("Add", ["x", "k"])], [x], [val("y", [2, 3])], [e]))
m = model([node("Add", ["x", "k"])], [x], [val("y", [2, 3])])
m.graph.sparse_initializer.append(h.make_sparse_tensor(const("k", f32(1, 2)), const("", i64(0, 2)), [3]))
save("sparse", m)
save("typed", model([node("Add", ["x", "k"])], [x], [val("y", [2, 3])], [h.make_tensor("k", F, [3], [1, 2, 3])]))
save("half", model([node("Cast", ["k"], ["c"], to=F), node("Add", ["x", "c"])], [x], [val("y", [2, 3])],
                   [h.make_tensor("k", T.FLOAT16, [3], [1, 2, 3])]))
for dt in (8, 14, 17, 22, 99):
    save(f"dtype{dt}", model([node("Identity", ["k"])], [x], [val("y", [3])], [T(name="k", data_type=dt, dims=[3], raw_data=b"\x01\x02")]))
save("short_data", model([node("Add", ["x", "k"])], [x], [val("y", [2, 3])], [T(name="k", data_type=F, dims=[3], raw_data=b"123")]))
save("huge_tensor", model([node("Add", ["x", "k"])], [x], [val("y", [2, 3])], [T(name="k", data_type=F, dims=[1 << 31, 1 << 33], raw_data=b"1234")]))

# Damaged files.
whole = model([node("Relu", ["x"])], [x], [val("y", [2, 3])]).SerializeToString()
save("empty", b"")
save("cut", whole[: len(whole) // 2])
flipped = bytearray(whole)
flipped[len(flipped) // 3] ^= 0x40
save("flipped", bytes(flipped))
save("no_graph", h.make_model(onnx.GraphProto(), opset_imports=[]).SerializeToString()[:4])
nested = b""
for _ in range(300):
    nested = (b"\x3a" if _ == 299 else b"\x0a\x00"[:0] + b"\x0a") + bytes([len(nested) & 127 | 128, len(nested) >> 7]) + nested
    if len(nested) > 1500:
        break
save("nested", nested)
deep = b"\x0a\x00"
for i in range(200):  # TypeProto.sequence_type.elem_type.…
    deep = b"\x22" + bytes([len(deep) & 127 | 128, len(deep) >> 7]) + b"\x0a" + bytes([len(deep) & 127 | 128, len(deep) >> 7]) + deep
    if len(deep) > 1200:
        break
save("deep_type", b"\x3a" + bytes([(len(deep) + 12) & 127 | 128, (len(deep) + 12) >> 7]) + b"\x5a" + bytes([(len(deep) + 6) & 127 | 128, (len(deep) + 6) >> 7]) + b"\x0a\x01x\x12" + bytes([len(deep) & 127 | 128, len(deep) >> 7]) + deep)
save("graph_twice", whole + b"\x3a\x00" * 8)

# Sequences, and resizing by computed scales.
save("sequence", model([node("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0), node("SequenceAt", ["s", "i"], ["a"]),
                        node("SequenceErase", ["s", "i"], ["r"]), node("SequenceInsert", ["r", "a", "i"], ["t"]),
                        node("ConcatFromSequence", ["t"], ["y"], axis=-1, new_axis=1)], [x], [val("y", [2, 3])],
                       [const("i", np.int64(-1))]))
add = h.make_graph([node("Add", ["e", "o"], ["m"])], "b", [val("e", [2]), val("o", [2])], [val("m", [2])])
save("sequence_map", model([node("SequenceConstruct", ["v", "v"], ["s"]), node("SequenceMap", ["s", "v"], ["t"], body=add),
                            node("SequenceLength", ["t"], ["n"]), node("ConcatFromSequence", ["t"], ["y"], axis=0)],
                           [val("v", [2])], [val("y", [4]), val("n", [], I)]))
single("resize_computed", "Resize", [[1, 1, 4, 4], None, [4]], [1, 1, 2, 3], mode="cubic", exclude_outside=1)
single("resize_crop", "Resize", [[4, 4], [4], None, [2]], [3, 3], types={"d": I}, mode="linear",
       coordinate_transformation_mode="tf_crop_and_resize")
