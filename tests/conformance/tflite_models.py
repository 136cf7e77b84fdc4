#!/usr/bin/python3
"""Runs real TFLite models through mcc and C compilers.

The models and recorded outputs are those of ../shared/models (not part of the
repository; without them this test is skipped).  Each model is compiled to C by
mcc, that C is built by every compiler given with --cc, and its outputs are
compared with the recorded ones: integers that come from the reference kernels bit
for bit, floats within rtol 1e-5 of the range.  With --interp also the interpreter
runs every case.

Recordings of other runners are compared with a tolerance; what cannot be compiled
must be named in tflite_unsupported.txt.  The generated C of a model without any
float tensor must be free of floating point; where floats are quantised first and last, only
the layers that do so may have them.
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED_REFUSALS = os.path.join(HERE, "tflite_unsupported.txt")
# Steps of integers: XNNPACK rounds in other places.
OTHER_RUNNER_STEPS = 8
# A share of the range of an output.
FLOAT_TOLERANCE = 1e-5


def is_reference(meta):
    return "reference kernels" in meta.get("runner", "")


def has_floats(meta):
    types = list(meta.get("act_types", {})) + list(meta.get("weight_types", {}))
    return any(t.startswith("FLOAT") for t in types)


def float_interface(meta):
    """Whether the only floats are what a model takes and gives."""
    def count(key, word):
        return sum(n for name, n in meta.get(key, {}).items() if name.startswith(word))
    changes = count("ops", "QUANTIZE") + count("ops", "DEQUANTIZE")
    return changes > 0 and count("act_types", "FLOAT") == changes and \
        not count("weight_types", "FLOAT")


def load_case(folder, case):
    def load(kind):
        arrays = []
        while True:
            path = os.path.join(folder, f"case{case}_{kind}{len(arrays)}.npy")
            if not os.path.exists(path):
                return arrays
            arrays.append(np.load(path))
    return load("in"), load("out")


def compare(got, want, reference, scale, where):
    """Reports a difference that is too large; returns the largest one: steps of
    integers, a share of the range of floats."""
    if want.dtype.kind != "f":
        steps = int(np.abs(got.astype(np.int64) - want.astype(np.int64)).max(initial=0))
        if steps > (0 if reference else OTHER_RUNNER_STEPS):
            different = int((got != want).sum())
            raise harness.Failure(f"{where}: {different} of {want.size} differ, at most by {steps}")
        return float(steps)
    if not np.isfinite(got).all():
        raise harness.Failure(f"{where}: not finite")
    error = float(np.abs(got - want).max(initial=0.0)) / scale
    if error > FLOAT_TOLERANCE:
        raise harness.Failure(f"{where}: off by {error:.2g} of the range")
    return error


def output_ranges(folder):
    """The largest number of each output over all cases."""
    ranges, case = [], 0
    while True:
        outputs = load_case(folder, case)[1]
        if not outputs:
            return ranges
        for k, y in enumerate(outputs):
            if k == len(ranges):
                ranges.append(1e-30)
            if y.dtype.kind == "f":
                ranges[k] = max(ranges[k], float(np.abs(y).max(initial=0.0)))
        case += 1


def check_cases(meta, folder, run):
    worst, case, ranges = 0.0, 0, output_ranges(folder)
    while True:
        inputs, outputs = load_case(folder, case)
        if not outputs:
            break
        steps = meta.get("steps") or 0
        for step in range(max(steps, 1)):
            at = [x[step] if steps else x for x in inputs]
            got = run(at, restart=step == 0)
            for k, raw in enumerate(got):
                want = outputs[k][step] if steps else outputs[k]
                y = harness.view_as(raw, want)
                worst = max(worst, compare(y, want, is_reference(meta), ranges[k],
                                           f"case {case} step {step} output {k}"))
        case += 1
    if case == 0:
        raise harness.Failure("no recorded case")
    return worst


def interpreter(mcc_run, model, scratch, outputs):
    """A function that runs the model in the interpreter; states go from call to call when
    all calls since the last restart are those of one run."""
    history = []

    def run(inputs, restart):
        if restart:
            history.clear()
        history.append(inputs)
        command = [mcc_run, model, "--engine=interp"]
        for k, x in enumerate(inputs):
            np.save(os.path.join(scratch, f"i{k}.npy"),
                    np.stack([step[k] for step in history]) if len(history) > 1 else x)
            command += ["-i", os.path.join(scratch, f"i{k}.npy")]
        paths = [os.path.join(scratch, f"o{k}.npy") for k in range(outputs)]
        for p in paths:
            command += ["-o", p]
        done = harness.run(command, timeout=900)
        if done.returncode != 0:
            raise harness.Failure(f"interpreter: {done.stderr.strip()[:300]}")
        return [np.load(p).reshape(len(history), -1)[-1] for p in paths]
    return run


def run_model(args, folder):
    """(name, error or None, text)"""
    meta = json.load(open(os.path.join(folder, "meta.json")))
    meta.setdefault("id", os.path.basename(folder))
    model = os.path.join(folder, meta.get("file", "model.tflite"))
    with harness.scratch_folder() as scratch:
        try:
            source, header = harness.compile_model(args.mcc, model, scratch,
                                                   ["-w", *args.options.split()])
            if "act_types" in meta and not has_floats(meta):
                harness.check_integer_only(source)
            elif float_interface(meta):
                harness.check_integer_only(source, but=["requantize"])
            interface = harness.Interface(header)
            worst = 0.0
            for number, cc in enumerate(args.cc):
                library = harness.build_shared(source, cc, ["-std=c99", args.level, "-w"],
                                               scratch, f"m{number}")

                state = [None]

                def run(inputs, restart):
                    if restart:
                        state[0] = harness.new_state(library, interface)
                    return harness.call(library, interface, inputs, state[0])
                worst = max(worst, check_cases(meta, folder, run))
            if args.interp:
                outputs = sum(not p[2] for p in interface.params)
                run = interpreter(args.mcc_run, model, scratch, outputs)
                worst = max(worst, check_cases(meta, folder, run))
        except harness.Unsupported as e:
            return meta["id"], ("unsupported", str(e)), ""
        except (harness.Failure, subprocess.TimeoutExpired) as e:
            return meta["id"], ("failed", str(e)), ""
    return meta["id"], None, f"{worst:10.3g} {interface.arena:10} bytes of arena"


def find_models(path, names):
    folders = []
    for name in sorted(os.listdir(path)):
        folder = os.path.join(path, name)
        if os.path.exists(os.path.join(folder, "model.tflite")) and (not names or name in names):
            folders.append(folder)
    return folders


def main(default="../../../shared/models"):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--models", default=os.path.join(HERE, default))
    p.add_argument("--cc", action="append", help="a C compiler; may be repeated (default: gcc)")
    p.add_argument("--level", default="-O2", help="the optimisation level (default: -O2)")
    p.add_argument("--options", default="", help="further options for mcc")
    p.add_argument("--interp", action="store_true", help="also run the interpreter")
    p.add_argument("--jobs", "-j", type=int, default=os.cpu_count())
    p.add_argument("names", nargs="*", help="models (default: all)")
    args = p.parse_args()
    args.cc = args.cc or ["gcc"]

    if not os.path.isdir(args.models):
        print(f"skipped: no {os.path.basename(args.models)} in ../shared")
        return 77
    known = set(open(EXPECTED_REFUSALS).read().split("\n")) if os.path.exists(EXPECTED_REFUSALS) \
        else set()
    folders = find_models(args.models, args.names)
    failed = passed = refused = 0
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        for name, error, text in pool.map(run_model, [args] * len(folders), folders):
            if error is None:
                passed += 1
            elif error[0] == "unsupported" and name in known:
                refused += 1
            else:
                failed += 1
            print(f"{name:24} {': '.join(error) if error else text}", flush=True)
    print(f"{passed} of {len(folders)} models pass, {refused} are refused as expected")
    return 1 if failed or passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
