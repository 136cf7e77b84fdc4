#!/usr/bin/python3
"""Compiles the networks of samples/ to C and runs them on all their test data:
the outputs have to be those of ONNX Runtime within rtol 1e-4, atol 1e-6, and
every image has to be classified as there."""
import argparse
import glob
import os
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True


def run_sample(args, folder):
    x = np.load(os.path.join(folder, "test_x.npy"))
    y = np.load(os.path.join(folder, "test_y.npy"))
    want = np.load(os.path.join(folder, "expected.npy"))
    with harness.scratch_folder() as scratch:
        source, header = harness.compile_model(args.mcc, os.path.join(folder, "model.onnx"), scratch)
        interface = harness.Interface(header)
        library = harness.build_shared(source, args.cc, ["-std=c99", "-O2"], scratch)
        got = np.array([harness.call(library, interface, [x[i:i + 1]])[0].copy()
                        for i in range(len(x))])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    if not (got.argmax(1) == want.argmax(1)).all():
        raise harness.Failure("a prediction differs from ONNX Runtime's")
    print(f"{os.path.basename(folder):16} {len(x)} images, accuracy {100 * (got.argmax(1) == y).mean():.2f} %, "
          f"largest difference {np.abs(got - want).max():.2g}")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--cc", default=os.environ.get("CC", "cc"))
    p.add_argument("--samples", default=os.path.join(here, "../../samples"))
    args = p.parse_args()
    folders = sorted(os.path.dirname(f) for f in glob.glob(os.path.join(args.samples, "*", "expected.npy")))
    if not folders:
        print("no samples")
        return 1
    for folder in folders:
        run_sample(args, os.path.normpath(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
