#!/usr/bin/python3
"""Runs real float ONNX networks through mcc and C compilers.

The models and recorded outputs are those of ../shared/models (not part of the
repository; without them this test is skipped).  Each model is compiled to C by
mcc, that C is built by every compiler given with --cc at every level given with
--level, without fast-math, and its outputs are compared with the recorded ones:
floats within rtol 1e-4, atol 1e-5, integers equal.  The recorded outputs are
themselves rounded: where the largest element of an output is above 1, atol is
taken relative to it, and the elements beyond the plain 1e-5 are counted in the
column 'strict'.  Outputs that were quantised may be one step off.

It also checks what every generated file promises: silence under strict warnings
as C99 and as C++11, no symbol from outside but mem*, no writable data, the same
bytes from two runs, and that it builds for a Cortex-M4 where arm-none-eabi-gcc
is there.  With --mcc-run all builds, the object file of mcc -c, and the engines jit
and interp of mcc-run must give the same bytes, floats too.  Prints mcc's time and
memory for each model.
"""
import argparse
import concurrent.futures
import json
import os
import resource
import shlex
import shutil
import subprocess
import sys
import time

import numpy as np

import harness

sys.dont_write_bytecode = True

HERE = os.path.dirname(os.path.abspath(__file__))
STRICT = ("-pedantic -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Werror "
          "-fsyntax-only").split()
ALLOWED_SYMBOLS = {"memcpy", "memset", "memmove", "memcmp", "__stack_chk_fail",
                   "_GLOBAL_OFFSET_TABLE_"}
FLOATS = {"FLOAT", "DOUBLE", "FLOAT16"}


def is_wanted(meta):
    """Float inputs."""
    return meta["format"] == "onnx" and any(i["type"] in FLOATS for i in meta["inputs"])


def shape_options(meta, folder):
    """-finput-shape for inputs whose shape is not fixed in the file."""
    options = []
    for k, i in enumerate(meta["inputs"]):
        if all(isinstance(d, int) and d > 0 for d in i["shape"]):
            continue
        x = np.load(os.path.join(folder, f"case0_in{k}.npy"))
        options.append(f"-finput-shape={i['name']}:{'x'.join(map(str, x.shape))}")
    return options


def case_inputs(meta, folder, case):
    return [np.load(os.path.join(folder, f"case{case}_in{k}.npy"))
            for k in range(len(meta["inputs"]))]


class Bytes:
    """The outputs that all ways to run the model must agree on."""

    def __init__(self):
        self.first = {}

    def add(self, name, case, outputs):
        """Fails where the outputs are not those that came first."""
        who, wanted = self.first.setdefault(case, (name, [y.copy() for y in outputs]))
        for k, (x, y) in enumerate(zip(wanted, outputs)):
            if not harness.same_bytes(x, y):
                different = int((x.view(np.uint8) != y.view(np.uint8)).sum())
                raise harness.Failure(f"case {case} output {k}: {different} of {x.nbytes} bytes "
                                      f"differ from {who}")


def check_engines(args, meta, model, folder, scratch, options, interface, same):
    """The object file and the engines of mcc-run."""
    target, _ = harness.compile_model(args.mcc, model, scratch, options, "object", ".o")
    # Names come from the output's name, so the interface is the object's own.
    own = harness.Interface(target[:-2] + ".h")
    first = open(target, "rb").read()
    harness.compile_model(args.mcc, model, scratch, options, "object", ".o")
    if first != open(target, "rb").read():
        raise harness.Failure("two runs of mcc -c give different bytes")
    library = harness.build_shared(target, args.cc[0], [], scratch, "object")
    noutputs = sum(not p[2] for p in interface.params)
    for case in range(len(meta["cases"])):
        inputs = case_inputs(meta, folder, case)
        try:
            same.add("object", case, harness.call(library, own, inputs))
        except harness.Failure as e:
            raise harness.Failure(f"mcc -c: {e}")
        # The interpreter takes minutes for a large model: one case is enough.
        for engine in ("jit", "interp") if case == 0 else ("jit",):
            got = harness.run_engine(args.mcc_run, engine, model, scratch, inputs, noutputs,
                                     options)
            try:
                same.add(engine, case, got)
            except harness.Failure as e:
                raise harness.Failure(f"{engine}: {e}")


def quantisation_step(meta, folder, k):
    """The distance of neighbours among all recorded numbers of output k, where they are
    dequantised; else 0."""
    if not {"QuantizeLinear", "QLinearConv"} & set(meta.get("ops", {})):
        return 0.0
    values = np.unique(np.concatenate([
        np.load(os.path.join(folder, f"case{c}_out{k}.npy")).reshape(-1)
        for c in range(len(meta["cases"]))]))
    gaps = np.diff(values)
    return float(gaps[gaps > 1e-6].min(initial=np.inf)) if values.size > 1 else 0.0


def check_cases(meta, folder, library, interface, same, name):
    """The largest difference, as a multiple of the tolerance, and the number of
    elements that are beyond the tolerance with the plain atol."""
    worst, strict = 0.0, 0
    steps = {}
    for case in range(len(meta["cases"])):
        got = harness.call(library, interface, case_inputs(meta, folder, case))
        same.add(name, case, got)
        for k, raw in enumerate(got):
            want = np.load(os.path.join(folder, f"case{case}_out{k}.npy"))
            y = harness.view_as(raw, want)
            if want.dtype.kind != "f":
                if not np.array_equal(y, want):
                    raise harness.Failure(f"case {case} output {k} differs")
                continue
            if not np.isfinite(y).all():
                raise harness.Failure(f"case {case} output {k} is not finite")
            # Quantised numbers may be one step off.
            if k not in steps:
                steps[k] = quantisation_step(meta, folder, k)
            error, size = np.maximum(np.abs(y - want) - steps[k], 0), np.abs(want)
            scale = max(1.0, float(size.max(initial=0.0)))
            worst = max(worst, float(np.max(error / (1e-5 * scale + 1e-4 * size), initial=0.0)))
            strict += int((error > 1e-5 + 1e-4 * size).sum())
    if worst > 1:
        raise harness.Failure(f"outside the tolerance by a factor of {worst:.3g}")
    return worst, strict


def check_clean(source, scratch, compilers):
    for cc in compilers:
        for language in (["-std=c99"], ["-x", "c++", "-std=c++11"]):
            done = harness.run([*shlex.split(cc), *language, *STRICT, source], timeout=300)
            if done.returncode != 0:
                raise harness.Failure(f"{cc} {' '.join(language)}: {done.stderr.strip()[:600]}")
    target = os.path.join(scratch, "clean.o")
    subprocess.run([*shlex.split(compilers[0]), "-std=c99", "-O2", "-fno-stack-protector", "-c",
                    source, "-o", target], check=True)
    check_object(target, "nm")
    if shutil.which("arm-none-eabi-gcc"):
        done = harness.run(["arm-none-eabi-gcc", "-ffreestanding", "-mcpu=cortex-m4", "-mthumb",
                            "-O2", "-std=c99", "-c", source, "-o", target], timeout=300)
        if done.returncode != 0:
            raise harness.Failure(f"arm-none-eabi-gcc: {done.stderr.strip()[:600]}")
        check_object(target, "arm-none-eabi-nm", ("__aeabi_", "__gnu_", "__clz", "__popcount"))


def check_object(path, nm, runtime=()):
    for line in harness.run([nm, path]).stdout.splitlines():
        kind, name = line.split()[-2:]
        if kind == "U" and name not in ALLOWED_SYMBOLS and not name.startswith(tuple(runtime)):
            raise harness.Failure(f"needs the symbol {name}")
        if kind in "dDbBC" and not name.startswith("$"):
            raise harness.Failure(f"has the writable object {name}")


def run_model(args, folder):
    """(name, error or None, text)"""
    meta = json.load(open(os.path.join(folder, "meta.json")))
    model = os.path.join(folder, meta["file"])
    options = shape_options(meta, folder) + args.options.split()
    with harness.scratch_folder() as scratch:
        try:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.time()
            source, header = harness.compile_model(args.mcc, model, scratch, options)
            seconds = time.time() - start
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            peak = max(after.ru_maxrss, 0) / 1024
            first = open(source, "rb").read(), open(header, "rb").read()
            harness.compile_model(args.mcc, model, scratch, options)
            if first != (open(source, "rb").read(), open(header, "rb").read()):
                raise harness.Failure("two runs of mcc give different bytes")
            interface = harness.Interface(header)
            worst, strict, same = 0.0, 0, Bytes()
            for cc in args.cc:
                for level in args.level:
                    flags = ["-std=c99", level, "-w"]
                    try:
                        library = harness.build_shared(source, cc, flags, scratch,
                                                       f"m{abs(hash((cc, level)))}")
                        error, beyond = check_cases(meta, folder, library, interface, same,
                                                    f"{cc} {level}")
                        worst, strict = max(worst, error), max(strict, beyond)
                    except harness.Failure as e:
                        raise harness.Failure(f"{cc} {level}: {e}")
            if args.mcc_run:
                check_engines(args, meta, model, folder, scratch, options, interface, same)
            if args.clean:
                check_clean(source, scratch, args.cc)
        except (harness.Failure, harness.Unsupported) as e:
            return meta["id"], str(e), ""
    return meta["id"], None, (f"{worst:10.4f} {strict:6} {seconds:8.2f} {cpu:8.2f} {peak:8.0f} "
                              f"{interface.arena:10} {len(first[0]):10}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--mcc-run", help="also compare the bytes of mcc -c and of its engines")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--cc", action="append", help="a C compiler; may be repeated (default: gcc)")
    p.add_argument("--level", action="append", help="an optimisation level (default: -O0 and -O3)")
    p.add_argument("--options", default="", help="further options for mcc")
    p.add_argument("--no-clean", dest="clean", action="store_false",
                   help="leave out the checks of warnings and symbols")
    p.add_argument("--jobs", "-j", type=int, default=os.cpu_count())
    p.add_argument("names", nargs="*", help="models (default: all)")
    args = p.parse_args()
    args.cc = args.cc or ["gcc"]
    args.level = args.level or ["-O0", "-O3"]

    if not os.path.isdir(args.models):
        print("skipped: no ../shared/models")
        return 77
    index = json.load(open(os.path.join(args.models, "index.json")))
    folders = []
    for entry in index:
        folder = os.path.join(args.models, entry["id"])
        if entry["id"].startswith("onnx_") and (not args.names or entry["id"] in args.names):
            if is_wanted(json.load(open(os.path.join(folder, "meta.json")))):
                folders.append(folder)
    failed = 0
    print(f"{'model':24} {'error/tol':>10} {'strict':>6} {'mcc s':>8} {'cpu s':>8} {'MB':>8} "
          f"{'arena':>10} {'C bytes':>10}", flush=True)
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        for name, error, text in pool.map(run_model, [args] * len(folders), folders):
            print(f"{name:24} {'FAILED: ' + error if error else text}", flush=True)
            failed += error is not None
    print(f"{len(folders) - failed} of {len(folders)} models pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
