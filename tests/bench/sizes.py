#!/usr/bin/python3
"""What the MLPerf Tiny int8 models take on a Cortex-M4: one table.

    tests/bench/sizes.py
    tests/bench/sizes.py --estimates [NAME...]

    MACs, weights   of the model file and of the generated code, after dead and constant
                    channels went; weights are bytes of int8 constants, biases apart
    arena           bytes of RAM for all tensors (-fio=arena), at -Os and -O2
    flash           .text and .rodata at -Os and -O2, by arm-none-eabi-gcc with the same
                    level; -O2 takes kernels that are faster and larger

With --estimates, for all models of ../shared/models, or those of which a NAME is part: how
far the bytes of flash that --report gives are from what compilers make of the C.

Needs ../shared/models and arm-none-eabi-gcc; without them the exit status is 77.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../conformance"))
import harness  # noqa: E402

MODELS = {"anomaly detection": "mlperf_ad_i8", "keyword spotting": "mlperf_kws_i8",
          "person detection": "mlperf_vww_i8", "image classification": "mlperf_ic_i8",
          "wake word": "mlperf_sww_i8"}


def facts(args, model, folder, options):
    """MACs, bytes of int8 constants, arena and the source."""
    report = os.path.join(folder, "report.json")
    source, header = harness.compile_model(args.mcc, model, folder,
                                           ["-fio=arena", f"--report={report}", *options])
    program = json.load(open(report))["program"]
    weights = sum(int(n) for n in re.findall(r"^static const int8_t \w+\[(\d+)\]", open(source).read(),
                                             re.M))
    return program["macs"], weights, program["arena_bytes"], source


COMPILERS = {"gcc": ["arm-none-eabi-gcc", "-mcpu=cortex-m4"],
             "clang": ["clang-19", "--target=thumbv7em-none-eabi", "-mcpu=cortex-m4"]}


def flash(source, level, compiler="gcc"):
    done = harness.run(COMPILERS[compiler] + [level, "-std=c99", "-ffreestanding", "-ffunction-sections",
                                              "-c", source, "-o", source + ".o"])
    if done.returncode != 0:
        raise harness.Failure(done.stderr[-500:])
    text = harness.run(["arm-none-eabi-size", source + ".o"]).stdout.split("\n")[1]
    return int(text.split()[0])


def estimate(args, model, folder, level):
    """Bytes of flash and code that --report gives, and what compilers make; None where mcc does
    not take the model without further options."""
    report = os.path.join(folder, "report.json")
    try:
        source, _ = harness.compile_model(args.mcc, model, folder,
                                          [f"--report={report}", level, "-mcpu=cortex-m4", "-w",
                                           "-D", "batch=1"])
    except (harness.Failure, harness.Unsupported):
        return None
    program = json.load(open(report))["program"]
    real = {c: flash(source, level, c) for c in COMPILERS if shutil.which(COMPILERS[c][0])}
    return program["flash_bytes"], program["flash_bytes"] - program["code_bytes"], real


def median(values):
    return sorted(values)[len(values) // 2]


def estimates(args):
    """A line a model and level, then how far estimates are off."""
    errors, code_errors = {}, {}
    for name in sorted(os.listdir(args.models)):
        files = glob.glob(os.path.join(args.models, name, "model.*"))
        if not files or (args.names and not any(n in name for n in args.names)):
            continue
        for level in ["-Os", "-O2"]:
            with harness.scratch_folder() as folder:
                try:
                    found = estimate(args, files[0], folder, level)
                except subprocess.TimeoutExpired:
                    found = None
            if not found:
                continue
            about, constants, real = found
            row = [f"{name:28} {level} {about:9,}"]
            for compiler, size in real.items():
                errors.setdefault((compiler, level), []).append(about / size - 1)
                code = max(size - constants, 1)
                code_errors.setdefault((compiler, level), []).append((about - constants) / code - 1)
                row.append(f"{compiler} {size:9,} {errors[compiler, level][-1]:+7.1%}")
            print("  ".join(row), flush=True)
    for key, all_errors in errors.items():
        print(f"{' '.join(key)}: {len(all_errors)} models, flash off by {median(map(abs, all_errors)):.1%} "
              f"in the median, at most {max(all_errors, key=abs):+.1%}; code by "
              f"{median(map(abs, code_errors[key])):.1%}, with sign {median(code_errors[key]):+.1%}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--estimates", action="store_true")
    p.add_argument("names", nargs="*")
    args = p.parse_args()
    if not os.path.isdir(args.models) or not shutil.which("arm-none-eabi-gcc"):
        print("skipped: needs ../shared/models and arm-none-eabi-gcc")
        return 77
    if args.estimates:
        estimates(args)
        return 0
    print("| model | MACs | of them computed | weights | of them kept | arena -Os | -O2 | flash -Os | -O2 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, folder_name in MODELS.items():
        model = os.path.join(args.models, folder_name, "model.tflite")
        with harness.scratch_folder() as folder:
            plain = facts(args, model, folder, ["-O0"])
            row = [name, plain[0], None, plain[1], None]
            for level in ["-Os", "-O2"]:
                portable = facts(args, model, folder, [level])
                macs, _, arena, source = facts(args, model, folder, [level, "--target=armv7em"])
                row[2], row[4] = macs, portable[1]
                row += [arena, flash(source, level)]
        order = row[:5] + [row[5], row[7], row[6], row[8]]
        print("| " + " | ".join(f"{v:,}" if isinstance(v, int) else v for v in order) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
