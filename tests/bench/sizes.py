#!/usr/bin/python3
"""What the MLPerf Tiny int8 models take on a Cortex-M4: one table.

    tests/bench/sizes.py

    MACs, weights   of the model file and of the generated code, after dead and constant
                    channels went; weights are bytes of int8 constants, biases apart
    arena           bytes of RAM for all tensors (-fio=arena), at -Os and -O2
    flash           .text and .rodata at -Os and -O2, by arm-none-eabi-gcc with the same
                    level; -O2 takes kernels that are faster and larger

Needs ../shared/models and arm-none-eabi-gcc; without them the exit status is 77.
"""
import argparse
import json
import os
import re
import shutil
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


def flash(source, level):
    done = harness.run(["arm-none-eabi-gcc", "-mcpu=cortex-m4", level, "-std=c99", "-ffreestanding",
                        "-ffunction-sections", "-c", source, "-o", source + ".o"])
    if done.returncode != 0:
        raise harness.Failure(done.stderr[-500:])
    text = harness.run(["arm-none-eabi-size", source + ".o"]).stdout.split("\n")[1]
    return int(text.split()[0])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    args = p.parse_args()
    if not os.path.isdir(args.models) or not shutil.which("arm-none-eabi-gcc"):
        print("skipped: needs ../shared/models and arm-none-eabi-gcc")
        return 77
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
