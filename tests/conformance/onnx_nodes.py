#!/usr/bin/python3
"""Runs ONNX's official operator tests through mcc and a C compiler.

The tests are Debian's libonnx-testdata.  mcc is given model.onnx only; the C it
generates is built, called on the recorded inputs and compared with the recorded
outputs: floats within rtol 1e-3, atol 1e-7 (ONNX's own), all others equal.

The names of the tests that pass are kept in a list; one that is lost fails the
run, and so does one that is gained without being added (--update writes the
list).  Whatever does not pass has to be a clean 'unsupported' (exit status 1
and a message).
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True


# Recorded data that contradict the tests' own model or ONNX's specification.
DEVIATIONS = {
    "test_adam_multiple": "the data were made with an epsilon of 0.01, the model has none",
    "test_cast_FLOAT_to_BFLOAT16": "the data truncate, ONNX rounds to nearest even",
    "test_castlike_FLOAT_to_BFLOAT16": "the data of 'like' do not have its declared shape",
    "test_castlike_FLOAT_to_BFLOAT16_expanded": "the data of 'like' do not have its declared shape",
    "test_castlike_BFLOAT16_to_FLOAT": "the data of 'like' do not have its declared shape",
    "test_castlike_BFLOAT16_to_FLOAT_expanded": "the data of 'like' do not have its declared shape",
}


def load_tensor(path):
    """A TensorProto file as a numpy array; bfloat16 as its bits."""
    import onnx
    from onnx import numpy_helper
    t = onnx.TensorProto()
    with open(path, "rb") as f:
        t.ParseFromString(f.read())
    if t.data_type == onnx.TensorProto.BFLOAT16:
        bits = (np.frombuffer(t.raw_data, np.uint16) if t.raw_data
                else np.array(t.int32_data, np.uint16))
        return bits.reshape(tuple(t.dims))
    return numpy_helper.to_array(t)


def operators(folder):
    import onnx
    model = onnx.load(os.path.join(folder, "model.onnx"), load_external_data=False)
    return sorted({n.op_type for n in model.graph.node})


def data_sets(folder):
    for d in sorted(glob.glob(os.path.join(folder, "test_data_set_*"))):
        def files(kind):
            names = glob.glob(os.path.join(d, kind + "_*.pb"))
            return sorted(names, key=lambda n: int(n.rsplit("_", 1)[1][:-3]))
        yield files("input"), files("output")


def check_case(call, inputs, outputs, rtol, atol):
    """call: from the input arrays to the outputs."""
    got = call([load_tensor(f) for f in inputs])
    if len(got) != len(outputs):
        raise harness.Failure(f"{len(got)} outputs, expected {len(outputs)}")
    for raw, file in zip(got, outputs):
        want = load_tensor(file)
        y = harness.view_as(raw, want)
        if want.dtype.kind == "f":
            np.testing.assert_allclose(y.astype(np.float64), want.astype(np.float64),
                                       rtol=rtol, atol=atol)
        else:
            np.testing.assert_array_equal(y, want)


def caller(args, model, source, interface, scratch):
    """How to call the model: the generated C, or an engine of mcc-run."""
    if not args.mcc_run:
        library = harness.build_shared(source, args.cc, args.cflags.split(), scratch)
        return lambda arrays: harness.call(library, interface, arrays)
    noutputs = sum(not p[2] for p in interface.params)

    import onnx
    inputs = onnx.load(model, load_external_data=False).graph.input
    raw = [i.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16 for i in inputs]

    def call(arrays):
        # bfloat16 comes as its bits, which mcc-run takes as two raw bytes.
        arrays = [x.view("V2") if is_raw else x for x, is_raw in zip(arrays, raw)]
        got = harness.run_engine(args.mcc_run, args.engine, model, scratch, arrays, noutputs,
                                 args.options.split())
        return [y.view(np.uint16) if y.dtype.kind in "V" else y for y in got]
    return call


def run_test(args, folder):
    """('pass' | 'unsupported' | 'deviates' | 'fail', detail)"""
    model = os.path.join(folder, "model.onnx")
    source = None  # mcc has succeeded once this is set
    with harness.scratch_folder() as scratch:
        try:
            source, header = harness.compile_model(args.mcc, model, scratch, args.options.split())
            interface = harness.Interface(header)
            call = caller(args, model, source, interface, scratch)
            for inputs, outputs in data_sets(folder):
                check_case(call, inputs, outputs, args.rtol, args.atol)
        except harness.Unsupported as e:
            return "unsupported", str(e)
        except (harness.Failure, AssertionError) as e:
            name = os.path.basename(folder)
            if name in DEVIATIONS and source:
                return "deviates", DEVIATIONS[name]
            return "fail", " ".join(str(e).split())[:300]
        except Exception as e:  # data that this runner cannot read
            return "fail", f"{type(e).__name__}: {e}"
    return "pass", ""


def read_list(path):
    if not os.path.exists(path):
        return set()
    with open(path) as f:
        return {line.strip() for line in f if line.strip() and not line.startswith("#")}


def print_by_operator(folders, results):
    count = collections.defaultdict(collections.Counter)
    for name, (status, _) in results.items():
        for op in operators(folders[name]):
            count[op][status] += 1
    print(f"{'operator':32} {'pass':>5} {'unsupported':>12} {'fail':>5}")
    for op in sorted(count):
        c = count[op]
        print(f"{op:32} {c['pass']:5} {c['unsupported']:12} {c['fail']:5}")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--cc", default=os.environ.get("CC", "cc"))
    p.add_argument("--cflags", default="-std=c99 -O0 -w")
    p.add_argument("--mcc-run", help="run the models with this mcc-run instead of as C")
    p.add_argument("--engine", default="jit", help="of mcc-run: jit or interp")
    p.add_argument("--options", default="", help="further options for mcc")
    p.add_argument("--data", default="/usr/share/libonnx-testdata/data/node")
    p.add_argument("--list", default=os.path.join(here, "onnx_nodes_passing.txt"))
    p.add_argument("--update", action="store_true", help="write the list of passing tests")
    p.add_argument("--by-operator", action="store_true", help="print the count by operator")
    p.add_argument("--verbose", "-v", action="store_true", help="print every test that does not pass")
    p.add_argument("--rtol", type=float, default=1e-3)
    p.add_argument("--atol", type=float, default=1e-7)
    p.add_argument("--jobs", "-j", type=int, default=os.cpu_count())
    p.add_argument("tests", nargs="*", help="names of tests (default: all)")
    args = p.parse_args()

    if not os.path.isdir(args.data):
        print(f"skipped: no {args.data} (Debian package libonnx-testdata)")
        return 77
    folders = {os.path.basename(d): d for d in sorted(glob.glob(os.path.join(args.data, "test_*")))
               if not args.tests or os.path.basename(d) in args.tests}
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        results = dict(zip(folders, pool.map(run_test, [args] * len(folders), folders.values(),
                                             chunksize=8)))
    passing = {n for n, (s, _) in results.items() if s == "pass"}
    failing = {n for n, (s, _) in results.items() if s == "fail"}
    known = read_list(args.list) & set(folders)
    for name, (status, detail) in results.items():
        if status == "fail" or (args.verbose and status != "pass"):
            print(f"{status}: {name}: {detail}")
    for name in sorted(known - passing - failing):
        print(f"lost: {name}: {results[name][1]}")
    if args.by_operator:
        print_by_operator(folders, results)
    if args.update and not args.tests:
        with open(args.list, "w") as f:
            f.write("# ONNX operator tests that pass; written by onnx_nodes.py --update\n")
            f.writelines(n + "\n" for n in sorted(passing))
    gained = passing - known
    if gained and not args.update and not args.tests:
        print(f"gained {len(gained)}, run with --update: {' '.join(sorted(gained)[:10])} ...")
    print(f"{len(passing)} of {len(folders)} pass, {len(failing)} fail, "
          f"{sum(s == 'unsupported' for s, _ in results.values())} unsupported, "
          f"{sum(s == 'deviates' for s, _ in results.values())} with data that deviate from ONNX")
    lost = known - passing
    return 1 if failing or lost or (gained and not args.update and not args.tests) else 0


if __name__ == "__main__":
    sys.exit(main())
