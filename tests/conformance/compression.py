#!/usr/bin/python3
"""Compresses float networks with calibration data alone and scores them on test data
that took no part: accuracy, loss against the float network, sparsity, time.

    compression.py            the network of samples/digits, and quick cases of ../shared
    compression.py --all      all cases: the bars of docs/compression.md
    compression.py --mlperf   float networks of MLPerf Tiny, quantised, against their own
                              outputs, beside the 8-bit files that come with the benchmark
    compression.py --case NETWORK OPTIONS   one case of your own, which may lose anything
"""
import argparse
import json
import os
import re
import sys
import time

import numpy as np

import harness

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
DIGITS = os.path.normpath(os.path.join(HERE, "../../samples/digits"))

# network, options, points of accuracy that may be lost, part of the quick run
CASES = [
    ("digits", "-fquantize=int8", 0.3, True),
    ("digits", "-fquantize=int16x8", 0.1, True),
    ("digits", "-fquantize=int4", 0.6, True),
    ("digits", "-fquantize=int16x8", 0.3, True),
    ("digits", "-fquantize=pow2", 0.6, True),
    ("digits", "-fprune=50% -fquantize=int8", 0.6, True),
    ("digits", "-fprune=channel:25% -fquantize=int8", 1.5, True),
    ("mlp", "-fquantize=int8", 0.1, True),
    ("lenet5", "-fquantize=int8", 0.1, True),
    ("dscnn", "-fquantize=int8", 0.1, False),
    ("resnet8", "-fquantize=int8", 0.5, False),
    ("lenet5", "-fquantize=int16x8", 0.05, True),
    ("resnet8", "-fquantize=int16x8", 0.1, False),
    ("lenet5", "-fquantize=int4", 0.1, True),
    ("dscnn", "-fquantize=int4", 0.2, False),
    ("resnet8", "-fquantize=int4", 1.5, False),
    ("lenet5", "-fquantize=ternary", 0.4, False),
    ("dscnn", "-fquantize=ternary", 1.5, False),
    ("resnet8", "-fquantize=ternary", 15, False),
    ("lenet5", "-fquantize=int16x8", 0.1, False),
    ("lenet5", "-fquantize=pow2", 0.1, False),
    ("dscnn", "-fquantize=pow2", 0.2, False),
    ("resnet8", "-fquantize=pow2", 1.5, False),
    ("lenet5", "-fquantize=int8 -fcluster=3", 0.1, True),
    ("dscnn", "-fquantize=int8 -fcluster=3", 0.2, False),
    ("resnet8", "-fquantize=int8 -fcluster=3", 2.5, False),
    ("lenet5", "-fquantize=int8 -fcluster=2", 0.2, False),
    ("dscnn", "-fquantize=int8 -fcluster=2", 0.4, False),
    ("resnet8", "-fquantize=int8 -fcluster=2", 10, False),
    ("lenet5", "-fprune=80% -fquantize=int8 -fcluster=3", 0.3, False),
    ("lenet5", "-fprune=2:4 -fquantize=int4", 0.25, False),
    ("mlp", "-fprune=2:4 -fquantize=int4", 0.25, False),
    ("lenet5", "-fprune=50% -fquantize=int8", 0.1, False),
    ("lenet5", "-fprune=80% -fquantize=int8", 0.3, False),
    ("lenet5", "-fprune=90% -fquantize=int8", 0.6, False),
    ("lenet5", "-fprune=90% -fquantize=int4", 0.6, False),
    ("lenet5", "-fprune=95% -fquantize=int8", 2, False),
    ("lenet5", "-fprune=97% -fquantize=int8", 3.5, False),
    ("lenet5", "-fprune=layer:90% -fquantize=int8", 2, False),
    ("mlp", "-fprune=90% -fquantize=int8", 1.5, False),
    ("mlp", "-fprune=95% -fquantize=int8", 1.5, False),
    ("resnet8", "-fprune=50% -fquantize=int8", 3, False),
    ("lenet5", "-fprune=block:50% -fquantize=int8", 0.2, False),
    ("mlp", "-fprune=block:50% -fquantize=int8", 0.15, False),
    ("dscnn", "-fprune=block:75% -fquantize=int8", 8, False),
    ("lenet5", "-fprune=channel:25% -fquantize=int8", 0.3, False),
    ("lenet5", "-fprune=channel:50% -fquantize=int8", 0.85, False),
    ("mlp", "-fprune=channel:50% -fquantize=int8", 0.3, False),
    ("dscnn", "-fprune=channel:25% -fquantize=int8", 0.4, False),
    ("dscnn", "-fprune=channel:50% -fquantize=int8", 2.5, False),
    ("resnet8", "-fprune=channel:25% -fquantize=int8", 14, False),
    ("resnet8", "-fprune=channel:50% -fquantize=int8", 30, False),
]


def save(folder, name, x, y):
    np.save(os.path.join(folder, f"{name}_x.npy"), x)
    np.save(os.path.join(folder, f"{name}_y.npy"), y.astype(np.int64))


def prepare(args, folder, network):
    """Writes the data of a network; returns its model and the prefixes of the two sets."""
    if network == "digits":
        return os.path.join(DIGITS, "model.onnx"), os.path.join(DIGITS, "calib"), os.path.join(DIGITS, "test")
    cifar = network == "resnet8"
    names = ("cifar10j_calib512", "cifar10j_test2000") if cifar else ("mnist_calib1024", "mnist_test10000")
    for name in names:
        if os.path.exists(os.path.join(folder, f"{name}_x.npy")):
            continue
        z = np.load(os.path.join(args.shared, "data", name + ".npz"))
        x = z["x"].astype(np.float32)
        x = x.transpose(0, 3, 1, 2) if cifar else (x / np.float32(255)).reshape(-1, 1, 28, 28)
        save(folder, name, np.ascontiguousarray(x), z["y"])
    model = os.path.join(args.shared, "models", f"compress_{network}", "model.onnx")
    return model, *(os.path.join(folder, name) for name in names)


def accuracy(args, model, test, options):
    done = harness.run([args.mcc_run, "-w", *options, model, "-i", test + "_x.npy",
                        f"--labels={test}_y.npy", "-D", "N=1", "-D", "n=1", "-D", "batch=1"], timeout=900)
    if done.returncode != 0:
        raise harness.Failure(done.stderr.strip()[-500:])
    right, of = re.search(r"top-1: (\d+) of (\d+)", done.stdout).groups()
    return 100 * int(right) / int(of)


def check(args, folder, known, network, options, most):
    model, calib, test = prepare(args, folder, network)
    if network not in known:
        known[network] = accuracy(args, model, test, [])
    start = time.time()
    got = accuracy(args, model, test, [*options.split(), f"-fcalib={calib}_x.npy"])
    lost = known[network] - got
    ok = lost <= most + 1e-9
    print(f"{network:8} {options:30} {known[network]:6.2f} {got:6.2f}  lost {lost:5.2f} of {most:5.2f}"
          f"  {time.time() - start:5.1f} s{'' if ok else '  TOO MUCH'}", flush=True)
    return ok


def run_model(args, folder, model, x, options):
    np.save(os.path.join(folder, "x.npy"), x)
    done = harness.run([args.mcc_run, "-w", *options, model, "-i", os.path.join(folder, "x.npy"),
                        "-o", os.path.join(folder, "y.npy")], timeout=900)
    if done.returncode != 0:
        raise harness.Failure(done.stderr.strip()[-500:])
    return np.load(os.path.join(folder, "y.npy"))


def reference_output(args, folder, network, x):
    """What the benchmark's own 8-bit file makes of a float input."""
    i8 = os.path.join(args.shared, "models", f"mlperf_{network}_i8")
    with open(os.path.join(i8, "meta.json")) as f:
        meta = json.load(f)
    (scale, zero), (out_scale, out_zero) = meta["inputs"][0]["quant"], meta["outputs"][0]["quant"]
    q = np.clip(np.round(x / np.float32(scale)) + zero, -128, 127).astype(np.int8)
    y = run_model(args, folder, os.path.join(i8, "model.tflite"), q, []).astype(np.float64)
    return (y - out_zero) * out_scale


def check_mlperf(args, folder, network):
    """Each case by itself, calibrated on the others; the images of ic on other images."""
    f32 = os.path.join(args.shared, "models", f"mlperf_{network}_f32")
    n = len([f for f in os.listdir(f32) if f.endswith("_in0.npy")])
    cases = [[np.load(os.path.join(f32, f"case{k}_{what}.npy")) for what in ("in0", "out0")] for k in range(n)]
    error, reference = 0.0, 0.0
    calib, slowest = os.path.join(folder, "calib.npy"), 0.0
    for k, (x, y) in enumerate(cases):
        if network == "ic":
            images = np.load(os.path.join(args.shared, "data", "cifar10j_calib512.npz"))["x"]
            np.save(calib, images.astype(np.float32))
        else:
            np.save(calib, np.concatenate([other for i, (other, _) in enumerate(cases) if i != k]))
        start = time.time()
        got = run_model(args, folder, os.path.join(f32, "model.tflite"), x,
                        ["-fquantize=int8", f"-fcalib={calib}"])
        slowest = max(slowest, time.time() - start)
        error += np.mean((got.reshape(y.shape) - y) ** 2) / n
        reference += np.mean((reference_output(args, folder, network, x).reshape(y.shape) - y) ** 2) / n
    ok = error <= reference
    print(f"{network:4} {n} cases, output {np.sqrt(np.mean([y ** 2 for _, y in cases])):.3g}: reference "
          f"{np.sqrt(reference):.3g}, mcc {np.sqrt(error):.3g}, {slowest:.1f} s{'' if ok else '  WORSE'}", flush=True)
    return ok


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--shared", default=os.path.join(HERE, "../../../shared"))
    p.add_argument("--all", action="store_true")
    p.add_argument("--mlperf", action="store_true")
    p.add_argument("--case", nargs=2, metavar=("NETWORK", "OPTIONS"))
    args = p.parse_args()
    has_shared = os.path.isdir(os.path.join(args.shared, "data"))
    if not has_shared:
        print("../shared is missing: only the network of samples/digits")
    known, bad = {}, 0
    with harness.scratch_folder() as folder:
        if args.case:
            return not check(args, folder, known, *args.case, 100)
        if args.mlperf:
            return not all([check_mlperf(args, folder, network) for network in ("ad", "ic", "kws", "vww")])
        for network, options, most, quick in CASES:
            if (args.all or quick) and (has_shared or network == "digits"):
                bad += not check(args, folder, known, network, options, most)
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
