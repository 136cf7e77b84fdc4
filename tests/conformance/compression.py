#!/usr/bin/python3
"""Compresses float networks with calibration data alone and scores them on test data
that took no part: accuracy, loss against the float network, sparsity, time.

    compression.py            the network of samples/digits, and quick cases of ../shared
    compression.py --all      all cases: the bars of docs/compression.md
"""
import argparse
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
    ("digits", "-fquantize=int4", 0.6, True),
    ("digits", "-fprune=50% -fquantize=int8", 0.6, True),
    ("digits", "-fprune=channel:25% -fquantize=int8", 1.5, True),
    ("mlp", "-fquantize=int8", 0.1, True),
    ("lenet5", "-fquantize=int8", 0.1, True),
    ("dscnn", "-fquantize=int8", 0.1, False),
    ("resnet8", "-fquantize=int8", 0.5, False),
    ("lenet5", "-fquantize=int4", 0.1, True),
    ("dscnn", "-fquantize=int4", 0.2, False),
    ("resnet8", "-fquantize=int4", 1.5, False),
    ("lenet5", "-fquantize=ternary", 0.4, False),
    ("dscnn", "-fquantize=ternary", 1.5, False),
    ("resnet8", "-fquantize=ternary", 15, False),
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
    ("lenet5", "-fprune=channel:25% -fquantize=int8", 0.3, False),
    ("lenet5", "-fprune=channel:50% -fquantize=int8", 0.85, False),
    ("mlp", "-fprune=channel:50% -fquantize=int8", 0.3, False),
    ("dscnn", "-fprune=channel:25% -fquantize=int8", 0.4, False),
    ("resnet8", "-fprune=channel:25% -fquantize=int8", 9, False),
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


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc-run", default="build/mcc-run")
    p.add_argument("--shared", default=os.path.join(HERE, "../../../shared"))
    p.add_argument("--all", action="store_true")
    args = p.parse_args()
    has_shared = os.path.isdir(os.path.join(args.shared, "data"))
    if not has_shared:
        print("../shared is missing: only the network of samples/digits")
    known, bad = {}, 0
    with harness.scratch_folder() as folder:
        for network, options, most, quick in CASES:
            if (args.all or quick) and (has_shared or network == "digits"):
                bad += not check(args, folder, known, network, options, most)
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
