#!/usr/bin/python3
"""All ways to run a model must give the same bytes, floats too.

For the models of ../shared/models (not part of the repository; without them this test
is skipped) the outputs of the following are compared byte by byte:

 - the C of mcc, built by every compiler given with --cc,
 - the object file of mcc -c, linked by the first of them,
 - mcc-run with --engine=jit and --engine=interp.

The inputs are the recorded ones, and made-up numbers where nothing is recorded; a model
with a state goes through its recorded sequence of calls.  The interpreter stops after
as many calls as make --interp-macs multiply-accumulates, but makes one at least.

Without names and without --all a few small models of all kinds are taken.  Models that
mcc refuses with a message are listed and counted.
"""
import argparse
import concurrent.futures
import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
QUICK = ("tflm_hello_f32", "mlperf_ad_i8", "tflm_mnist_lstm_f32", "tflm_mnist_lstm_i8",
         "mww_vad_i8", "mlperf_kws_f32", "onnx_qrelu_qdq", "onnx_mnist_wonnx",
         "lgbm_toy_categorical", "trees_iris", "xgb_mushroom", "toycar_ae_hybrid")
FILES = ("model.onnx", "model.tflite", "model.pmml", "model.xml", "model.json", "model.ubj",
         "model.txt")
MADE_UP_CALLS = 3
TREE_ROWS = 50


def find_models(args):
    names = args.names or (sorted(os.listdir(args.models)) if args.all else QUICK)
    for name in names:
        for file in FILES:
            path = os.path.join(args.models, name, file)
            if os.path.exists(path):
                yield path


def recorded_cases(folder):
    cases = []
    while os.path.exists(os.path.join(folder, f"case{len(cases)}_in0.npy")):
        arrays = []
        while os.path.exists(os.path.join(folder, f"case{len(cases)}_in{len(arrays)}.npy")):
            arrays.append(np.load(os.path.join(folder, f"case{len(cases)}_in{len(arrays)}.npy")))
        cases.append(arrays)
    return cases


def is_table(model):
    """A format whose models take any number of rows."""
    return model.endswith((".json", ".ubj", ".txt"))


def shape_options(args, model, meta, cases):
    """What mcc has to be told about shapes: what was recorded; else 1 for what is open."""
    if is_table(model):
        return [f"-finput-shape=features:{TREE_ROWS}x{cases[0][0].shape[1]}"]
    options = []
    for k, i in enumerate(meta.get("inputs", [])):
        if cases and not all(isinstance(d, int) and d > 0 for d in i["shape"]):
            shape = "x".join(map(str, cases[0][k].shape))
            options.append(f"-finput-shape={i['name']}:{shape}")
    if not meta.get("inputs"):
        done = harness.run([args.mcc, "-fsyntax-only", model])
        options += [o.replace("?", "1")
                    for o in re.findall(r"(-finput-shape=\S+:\S*\?\S*) \[", done.stderr)]
    return options


def make_up(params, call):
    """Numbers of the inputs' types."""
    r = np.random.RandomState(call)
    arrays = []
    for _, dtype, is_input, count in params:
        if is_input and np.dtype(dtype).kind == "f":
            arrays.append(r.uniform(-1, 1, count).astype(dtype))
        elif is_input:
            bits = 8 if np.dtype(dtype).itemsize == 1 else 3
            low = -(1 << bits) // 2 if np.dtype(dtype).kind == "i" and bits == 8 else 0
            arrays.append(r.randint(low, low + (1 << bits), count).astype(dtype))
    return arrays


def sequences(model, meta, interface, cases):
    """Lists of calls, each a list of inputs; a state goes from call to call."""
    if is_table(model):
        rows = [np.resize(x[0], (TREE_ROWS, x[0].shape[1])) for x in cases]
        dtype = [p[1] for p in interface.params if p[2]][0]
        return [[[x.astype(dtype)] for x in rows]]
    if model.endswith(".pmml") and cases and sum(p[2] for p in interface.params) == 1:
        # A row is a call; the model may take fewer columns than the table has.
        dtype, count = [(p[1], p[3]) for p in interface.params if p[2]][0]
        return [[[row[:count].astype(dtype)] for row in cases[0][0][:TREE_ROWS]]]
    if not cases:
        return [[make_up(interface.params, call) for call in range(MADE_UP_CALLS)]]
    if meta.get("steps"):
        return [[[x[step] for x in case] for step in range(meta["steps"])] for case in cases]
    if interface.has_state:
        return [[case] for case in cases]
    return [cases]


def run_library(library, interface, calls):
    state = harness.new_state(library, interface)
    return [[y.copy() for y in harness.call(library, interface, x, state)] for x in calls]


def run_engine(args, engine, model, scratch, interface, calls, options):
    """The calls are the first axis of the arrays."""
    arrays = []
    for k, p in enumerate(p for p in interface.params if p[2]):
        x = np.stack([c[k] for c in calls])
        # The shape does not matter to C, but here.
        arrays.append(x.reshape([len(calls), *args.shapes[k]]) if args.shapes else x)
    noutputs = sum(not p[2] for p in interface.params)
    flat = harness.run_engine(args.mcc_run, engine, model, scratch, arrays, noutputs, options)
    return [[y.reshape(len(calls), -1)[i] for y in flat] for i in range(len(calls))]


def compare(who, got, first_who, first):
    for call, (outputs, wanted) in enumerate(zip(got, first)):
        for k, (y, want) in enumerate(zip(outputs, wanted)):
            if not harness.same_bytes(np.ascontiguousarray(y), want):
                different = "its size" if y.nbytes != want.nbytes else \
                    f"{(np.frombuffer(y.tobytes(), np.uint8) != want.view(np.uint8)).sum()} " \
                    f"of {want.nbytes} bytes"
                raise harness.Failure(f"{who} and {first_who}: {different} of output {k} differ "
                                      f"in call {call}")


def input_shapes(args, model, options):
    """The shapes of the inputs, from the text of the graph."""
    done = harness.run([args.mcc, "-E", "-O0", "-w", *options, model])
    head = re.search(r"^graph @.*?\((.*)\) \{$", done.stdout, re.M).group(1)
    return [[int(d) for d in s.split(",") if d] for s in re.findall(r": \w+\[([\d,]*)\]", head)]


def check_model(args, model, scratch):
    """The number of calls that were compared, or an exception."""
    folder = os.path.dirname(model)
    meta_file = os.path.join(folder, "meta.json")
    meta = json.load(open(meta_file)) if os.path.exists(meta_file) else {}
    cases = recorded_cases(folder)
    options = ["-w", *shape_options(args, model, meta, cases), *args.options.split()]
    source, header = harness.compile_model(args.mcc, model, scratch, options)
    interface = harness.Interface(header)
    target, object_header = harness.compile_model(args.mcc, model, scratch, options, "object",
                                                  ".o")
    own = harness.Interface(object_header)
    libraries = [(cc, harness.build_shared(source, cc, ["-std=c99", args.level, "-w"], scratch,
                                           f"by{k}"), interface)
                 for k, cc in enumerate(args.cc)]
    libraries.append(("object", harness.build_shared(target, args.cc[0], [], scratch, "linked"),
                      own))
    args.shapes = input_shapes(args, model, options) if not cases else None
    macs = int(re.search(r"Multiply-accumulates of one call: (\d+)", open(header).read()).group(1))
    count, budget = 0, args.interp_macs
    for calls in sequences(model, meta, interface, cases):
        first = run_library(libraries[0][1], interface, calls)
        for name, library, its in libraries[1:]:
            compare(name, run_library(library, its, calls), args.cc[0], first)
        compare("jit", run_engine(args, "jit", model, scratch, interface, calls, options),
                args.cc[0], first)
        few = calls[:max(budget // max(macs, 1), 0 if count else 1)]
        if few:
            got = run_engine(args, "interp", model, scratch, interface, few, options)
            compare("interp", got, args.cc[0], first)
        budget -= macs * len(few)
        count += len(calls)
    return count


def run_model(args, model):
    """(name, verdict, text)"""
    name = os.path.relpath(model, args.models)
    with harness.scratch_folder() as scratch:
        try:
            return name, "same", f"{check_model(args, model, scratch)} calls"
        except harness.Unsupported as e:
            return name, "refused", str(e)
        except (harness.Failure, subprocess.TimeoutExpired) as e:
            return name, "FAILED", str(e)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--cc", action="append",
                   help="a C compiler; may be repeated (default: gcc, and clang-19 or clang)")
    p.add_argument("--level", default="-O2", help="of the C compilers (default: -O2)")
    p.add_argument("--options", default="", help="further options for mcc and mcc-run")
    p.add_argument("--interp-macs", type=int, default=40_000_000,
                   help="how much the interpreter computes of each model")
    p.add_argument("--all", action="store_true", help="all models")
    p.add_argument("--jobs", "-j", type=int, default=os.cpu_count())
    p.add_argument("names", nargs="*", help="models")
    args = p.parse_args()
    clang = [c for c in ("clang-19", "clang") if shutil.which(c)]
    args.cc = args.cc or ["gcc", *clang[:1]]

    if not os.path.isdir(args.models):
        print("skipped: no ../shared/models")
        return 77
    models = list(find_models(args))
    counts = {"same": 0, "refused": 0, "FAILED": 0}
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        for name, verdict, text in pool.map(run_model, [args] * len(models), models):
            print(f"{name:40} {verdict}: {text}", flush=True)
            counts[verdict] += 1
    print(f"{counts['same']} of {len(models)} models give the same bytes as C by "
          f"{' and '.join(args.cc)}, object, jit and interp; {counts['refused']} are refused, "
          f"{counts['FAILED']} fail")
    return 1 if counts["FAILED"] or not counts["same"] else 0


if __name__ == "__main__":
    sys.exit(main())
