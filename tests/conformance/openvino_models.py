#!/usr/bin/python3
"""Writes the ONNX networks of ../shared/models as OpenVINO IR and compares.

A network whose operators openvino_nodes.py can all convert becomes IR, with the weights in
its .bin; mcc-run computes it, and the results have to agree with the recorded outputs of the
ONNX model, and with what mcc makes of the ONNX model itself, within --tolerance of the range.
"""
import argparse
import glob
import os
import re
import sys

import numpy as np

import harness
from openvino_file import Ir
from openvino_nodes import CONVERT, Job, Skip

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))


class Net:
    """What the names of an ONNX graph stand for in the IR."""

    def __init__(self, model, inputs):
        import onnx
        from onnx import numpy_helper
        # All shapes follow from those of the recorded inputs.
        weights = {t.name for t in model.graph.initializer}
        real = [v for v in model.graph.input if v.name not in weights]
        for v, a in zip(real, inputs):
            del v.type.tensor_type.shape.dim[:]
            for n in a.shape:
                v.type.tensor_type.shape.dim.add().dim_value = n
        for v in model.graph.output:
            v.type.tensor_type.ClearField("shape")
        del model.graph.value_info[:]
        self.graph = onnx.shape_inference.infer_shapes(model).graph
        self.ir = Ir("net")
        self.value, self.array, self.known = {}, {}, set()
        for t in self.graph.initializer:
            self.known.add(t.name)
            self.array[t.name] = numpy_helper.to_array(t)
        for v in self.graph.value_info:
            self.declare(v)
        for v in self.graph.output:
            self.declare(v)

    def declare(self, v):
        """An array of the type and shape of a value, if these are known."""
        import onnx
        t = v.type.tensor_type
        shape = [d.dim_value for d in t.shape.dim]
        if not t.HasField("shape") or any(n <= 0 for n in shape):
            return
        dtype = onnx.mapping.TENSOR_TYPE_TO_NP_TYPE[t.elem_type]
        self.array.setdefault(v.name, np.broadcast_to(np.zeros((), dtype), shape))

    def lookup(self, name):
        if name not in self.value:
            if name not in self.array:
                raise Skip(f"the type of '{name}' is not known")
            self.value[name] = self.ir.const(self.array[name])
        return self.value[name]


# Inputs whose numbers the converters look at.
CONTENTS = {"CumSum": (1,), "OneHot": (1, 2), "Pad": (1, 2), "Range": (0, 1, 2), "Resize": (2, 3),
            "ReduceSum": (1,), "Split": (1,), "Squeeze": (1,), "Unsqueeze": (1,), "Clip": (1, 2)}


class NetJob(Job):
    """A node between others."""

    def __init__(self, net, node):
        data = [net.array.get(name) if name else None for name in node.input]
        for name, a in zip(node.input, data):
            if name and a is None:
                raise Skip(f"the shape of '{name}' is not known")
        for i in CONTENTS.get(node.op_type, ()):
            if i < len(data) and node.input[i] and node.input[i] not in net.known:
                raise Skip(f"'{node.input[i]}' is computed")
        super().__init__(net.ir, node, data)
        self.net = net

    def x(self, i):
        return self.net.lookup(self.node.input[i])

    def c(self, i, dtype=None):
        if self.node.input[i] in self.net.value and dtype is None:
            return self.net.value[self.node.input[i]]
        return super().c(i, dtype)


def flatten(j):
    axis = j.attr.get("axis", 1)
    shape = j.data[0].shape
    rows = int(np.prod(shape[:axis]))
    return j.layer("Reshape", [j.x(0), j.m.ints(rows, -1)], special_zero=False)


def dropout(j):
    return j.x(0)


def constant_of_shape(j):
    from onnx import numpy_helper
    value = numpy_helper.to_array(j.attr["value"]) if "value" in j.attr else np.zeros(1, np.float32)
    return j.layer("Broadcast", [j.m.const(value.reshape(())), j.x(0)], opset=3, mode="numpy")


MORE = {"Flatten": flatten, "Dropout": dropout, "ConstantOfShape": constant_of_shape}


def convert(model, inputs):
    net = Net(model, inputs)
    from onnx import numpy_helper
    for v in net.graph.input:
        if v.name not in net.array:
            net.declare(v)
            if v.name not in net.array:
                raise Skip("the shape of an input is not known")
            a = net.array[v.name]
            net.value[v.name] = net.ir.parameter(v.name, a.dtype, list(a.shape))
    for node in net.graph.node:
        if node.op_type == "Constant":
            net.known.add(node.output[0])
            net.array[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            continue
        converter = MORE.get(node.op_type) or CONVERT.get(node.op_type)
        if not converter or node.domain not in ("", "ai.onnx"):
            raise Skip(f"no converter of {node.op_type}")
        out = converter(NetJob(net, node))
        for name, v in zip(node.output, out if isinstance(out, list) else [out]):
            net.value[name] = v
    for v in net.graph.output:
        net.ir.result(net.lookup(v.name))
    return net.ir


def files(folder, kind):
    found = glob.glob(os.path.join(folder, f"case0_{kind}*.npy"))
    return [np.load(f) for f in sorted(found, key=lambda f: int(re.search(r"(\d+)\.npy", f)[1]))]


def difference(got, want):
    """The largest difference, relative to the range of what is wanted."""
    worst = 0.0
    for x, y in zip(got, want):
        y = y.reshape(-1)
        if x.shape != y.shape:
            raise harness.Failure(f"{x.size} elements, expected {y.size}")
        scale = max(1e-6, float(np.abs(y).max(initial=0)))
        worst = max(worst, float(np.abs(x.astype(np.float64) - y).max(initial=0)) / scale)
    return worst


def made_inputs(graph):
    """Inputs for a model without recorded ones."""
    made, random = [], np.random.default_rng(1)
    for v in graph.input:
        t = v.type.tensor_type
        shape = [d.dim_value for d in t.shape.dim]
        if 0 in shape or t.elem_type != 1:
            raise Skip("an input of unknown shape, or of integers")
        made.append(random.normal(0, 1, shape).astype(np.float32))
    return made


def shape_options(graph, inputs):
    weights = {t.name for t in graph.initializer}
    names = [v.name for v in graph.input if v.name not in weights]
    return [f"-finput-shape={n}:{'x'.join(map(str, a.shape))}" for n, a in zip(names, inputs)]


def check(args, folder):
    import onnx
    path = os.path.join(folder, "model.onnx")
    inputs, outputs = files(folder, "in"), files(folder, "out")
    model = onnx.load(path)
    count = len(model.graph.output)
    if not outputs:
        inputs = made_inputs(model.graph)
    ir = convert(model, inputs)
    with harness.scratch_folder() as scratch:
        saved = ir.save(scratch)
        got = harness.run_engine(args.mcc_run, args.engine, saved, scratch, inputs, count)
        same = harness.run_engine(args.mcc_run, args.engine, path, scratch, inputs, count,
                                  shape_options(model.graph, inputs))
    outputs = outputs or same
    worst = difference(got, outputs)
    if worst > args.tolerance or difference(got, same) > args.tolerance:
        raise harness.Failure(f"{worst:.3g} of the range from the recorded outputs, "
                              f"{difference(got, same):.3g} from the ONNX model")
    return worst


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--engine", default="jit")
    p.add_argument("--models", default=os.path.join(HERE, "..", "..", "..", "shared", "models"))
    p.add_argument("--tolerance", type=float, default=1e-5)
    p.add_argument("--least", type=int, default=0, help="fail when fewer models are converted")
    p.add_argument("names", nargs="*", help="names of models (default: all)")
    args = p.parse_args()
    if not os.path.isdir(args.models):
        print("skipped: no ../shared/models")
        return 77
    passed = failed = 0
    for path in sorted(glob.glob(os.path.join(args.models, "*", "model.onnx"))):
        folder = os.path.dirname(path)
        name = os.path.basename(folder)
        if args.names and name not in args.names:
            continue
        try:
            print(f"{name}: within {check(args, folder):.2g} of the range", flush=True)
            passed += 1
        except (Skip, IndexError) as e:  # IndexError: of a value that is computed
            print(f"{name}: not converted: {e}", flush=True)
        except (harness.Failure, harness.Unsupported) as e:
            failed += 1
            print(f"{name}: FAILED: {e}", flush=True)
    print(f"{passed} pass, {failed} fail")
    return 1 if failed or (not args.names and passed < args.least) else 0


if __name__ == "__main__":
    sys.exit(main())
