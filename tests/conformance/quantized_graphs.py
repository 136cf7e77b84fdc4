#!/usr/bin/python3
"""Random small graphs of quantised numbers give the same bytes however they are compiled.

The graphs are those of tests/quantized_graph.c, with every operator of ir/quant.def.
Each is compiled to C in the ways of WAYS: by the reference lowerings without any pass, and
with all passes and the kernels of some machines, whose instructions the generated C
defines portably.  Inputs are random numbers, the least, the greatest, both in turn, and
zero points.
"""
import argparse
import concurrent.futures
import os
import re
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True

WAYS = {
    "reference": ["-O0"],
    "plain": ["-O2"],
    "m4": ["-O2", "--target=armv7em"],
    "small": ["-Os", "--target=armv6m"],
    "small_m4": ["-Os", "--target=armv7em"],
}


def inputs(random, dtype, count, zero):
    if np.dtype(dtype).kind == "f":
        lo, hi = -6.25, 6.25
        yield random.uniform(lo, hi, count).astype(dtype)
    else:
        lo, hi = np.iinfo(dtype).min, np.iinfo(dtype).max
        yield random.integers(lo, hi + 1, count).astype(dtype)
        yield random.integers(lo, hi + 1, count).astype(dtype)
    for x in (lo, hi, zero):
        yield np.full(count, x, dtype)
    yield np.where(np.arange(count) % 2, hi, lo).astype(dtype)


def compile_all(args, number, folder):
    """[(way, C file, header)]; some graphs with single rounding."""
    path = os.path.join(folder, f"g{number}.mcc")
    options = ["-w"] + (["-fsingle-rounding"] if number % 4 == 3 else [])
    return [(way, *harness.compile_model(args.mcc, path, folder,
                                         [*options, *flags, f"-fprefix=g{number}_{way}"],
                                         f"g{number}_{way}"))
            for way, flags in WAYS.items()]


def check_graph(number, compiled, library, folder):
    """How many bytes were compared."""
    random = np.random.default_rng(number)
    text = open(os.path.join(folder, f"g{number}.mcc")).read()
    found = re.search(r"%\w+: \w+\[[^]]*\](?: q\([^,]*, (-?\d+)\))?", text)
    zero = int(found.group(1) or 0)
    ways = [(way, harness.Interface(header)) for way, _, header in compiled]
    _, dtype, _, count = next(p for p in ways[0][1].params if p[2])
    total = 0
    for k, x in enumerate(inputs(random, dtype, count, zero)):
        want = None
        for way, interface in ways:
            got = harness.call(library, interface, [x])
            want = want or got
            for i, (a, b) in enumerate(zip(want, got)):
                # Where floats overflowed, passes may take 0 * inf for 0.
                if np.dtype(a.dtype).kind == "f" and not np.isfinite(a).all():
                    continue
                if a.tobytes() != b.tobytes():
                    raise harness.Failure(f"graph {number}, input {k}, output {i}: {way} gives "
                                          f"other bytes than {ways[0][0]}")
                total += a.nbytes
    return total


def run_batch(args, first, count):
    """(failures, bytes compared)"""
    failures, total = [], 0
    with harness.scratch_folder() as folder:
        done = harness.run([args.graphs, folder, str(first), str(count)])
        if done.returncode != 0:
            return [f"cannot write the graphs: {done.stderr}"], 0
        compiled = {}
        for number in range(first, first + count):
            try:
                compiled[number] = compile_all(args, number, folder)
            except (harness.Failure, harness.Unsupported) as e:
                failures.append(f"graph {number}: {e}")
        sources = [c for files in compiled.values() for _, c, _ in files]
        try:
            library = os.path.join(folder, "graphs.so")
            built = harness.run([args.cc, "-std=c99", args.level, "-w", "-shared", "-fPIC",
                                 *sources, "-o", library], timeout=900)
            if built.returncode != 0:
                raise harness.Failure(f"{args.cc} failed: {built.stderr[:500]}")
            for number, files in compiled.items():
                total += check_graph(number, files, library, folder)
        except harness.Failure as e:
            failures.append(str(e))
    return failures, total


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--graphs", default="build/tests/quantized_graphs")
    p.add_argument("--cc", default="gcc")
    p.add_argument("--level", default="-O1", help="of the C compiler (default: -O1)")
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--batch", type=int, default=20, help="graphs in one shared object")
    p.add_argument("--jobs", "-j", type=int, default=os.cpu_count())
    args = p.parse_args()
    starts = range(args.first, args.first + args.count, args.batch)
    sizes = [min(args.batch, args.first + args.count - s) for s in starts]
    failed = total = 0
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        for failures, count in pool.map(run_batch, [args] * len(sizes), starts, sizes):
            total += count
            failed += len(failures)
            for text in failures:
                print(text, flush=True)
    print(f"{args.count} graphs in {len(WAYS)} ways, {total} bytes compared")
    return 1 if failed or total == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
