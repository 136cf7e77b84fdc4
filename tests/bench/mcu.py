#!/usr/bin/python3
"""Measures the MLPerf Tiny int8 models on emulated microcontrollers and prints one table.

    tests/bench/mcu.py [--core m4]... [--model kws]... [-O3] [--way gcc]... [--layers]

Other models are named by their folder in ../shared/models, as in --model mcunet_vww_i8.

Each model is compiled for each core three ways: to C that gcc and clang build (-O2, or
-Os for the levels s and z), and to an object file.  Every run has to print the bytes
that the object file for this machine gives.  A line of the table is one build:

    instr, cycles   millions of one inference, cycles as tests/mcusim models them
    cyc/MAC         by the model's own multiply-accumulates, before anything is left out
    flash           .text and .rodata of the program less that of an empty one
    weights         the constants that the generated code keeps, as its header says
    arena, stack    bytes of RAM; the stack is exact to some 64 bytes
    cost            the estimate of the cost tables for the layers that have kernels, by
                    the cycles of all layers
    goal            million cycles that the better of gcc and clang has to reach

With --layers the functions that take most cycles follow.  Needs ../shared/models and
the tools of tests/mcusim/README.md; without them the exit status is 77.
"""
import argparse
import json
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../emulated"))
import run as emulated  # noqa: E402
from run import harness  # noqa: E402

# name: model, million MACs, goals in million cycles by core
MODELS = {
    "ad": ("mlperf_ad_i8", 0.264192,
           {"m4": 0.34, "m33": 0.33, "m7": 0.22, "m3": 0.8, "m0": 1.6, "m55": 0.06}),
    "kws": ("mlperf_kws_i8", 2.656768,
            {"m4": 3.8, "m33": 3.4, "m7": 2.3, "m3": 8.5, "m0": 20, "m55": 1.1}),
    "vww": ("mlperf_vww_i8", 7.489664,
            {"m4": 7.0, "m33": 6.3, "m7": 4.3, "m3": 13, "m0": 28, "m55": 2.2}),
    "ic": ("mlperf_ic_i8", 12.501632,
           {"m4": 9, "m33": 8, "m7": 5.5, "m3": 20, "m0": 55, "m55": 3.0}),
    "sww": ("mlperf_sww_i8", 0.826368, {}),
}
CORES = ["m0", "m3", "m4", "m7", "m33", "m55"]
WAYS = ["gcc", "clang", "object"]


def simulate(sim, core, compiler, files, folder, opt):
    """The result of one run, with its outputs in it."""
    command = [os.path.join(sim, "mcusim"), "--core", core, "--cc", compiler, "-I", folder,
               "--json", "--show-output", "--opt=" + opt, "--top", "12",
               "--cflags=-std=gnu11 -ffp-contract=off -fomit-frame-pointer", *files]
    done = harness.run(command, timeout=900)
    if done.returncode != 0:
        raise harness.Failure((done.stdout + done.stderr).strip()[-600:])
    line = next(t for t in done.stdout.splitlines() if t.startswith("{"))
    result = json.loads(line)
    result["outputs"] = dict(re.findall(r"^(out\d+)=([0-9a-f]*)\r?$", done.stdout, re.M))
    result["top"] = re.findall(r"^ *[\d.]+% +(\d+) cycles +(\d+) instructions  (\w+)",
                               done.stdout, re.M)
    return result


def flash_of(result):
    return result["size"]["text"] + result["size"]["rodata"]


class Bench:
    def __init__(self, args, sim, folder):
        self.args, self.sim, self.folder = args, sim, folder
        self.empty = {}  # by core and compiler
        self.good = True

    def empty_flash(self, core, compiler, opt):
        if (core, compiler) not in self.empty:
            path = os.path.join(self.folder, "empty.c")
            with open(path, "w") as f:
                f.write('#include "mcusim.h"\nint main(void)\n{\n\tmcu_begin("run");\n'
                        '\tmcu_end();\n\tmcu_print_hex("out0", "", 1);\n\treturn 0;\n}\n')
            result = simulate(self.sim, core, compiler, [path], self.folder, opt)
            self.empty[core, compiler] = flash_of(result)
        return self.empty[core, compiler]

    def build(self, name, core, way, folder):
        """The files of one build, its compiler and its header."""
        folder_name = MODELS[name][0] if name in MODELS else name
        model = os.path.join(self.args.models, folder_name, "model.tflite")
        options = emulated.CORES[core].split() + ["-fprefix=model", "-O" + self.args.level]
        suffix = ".o" if way == "object" else ".c"
        target, header = harness.compile_model(self.args.mcc, model, folder, options,
                                               f"{way}_{core}", suffix)
        return model, target, header, "clang" if way == "clang" else "gcc"

    def estimate(self, model, core, folder):
        """Million cycles, by the cost tables."""
        command = [self.args.mcc, *emulated.CORES[core].split(), "-O" + self.args.level,
                   "-Rpass=kernels", model, "-o", os.path.join(folder, "estimate.c")]
        text = harness.run(command).stderr
        return sum(map(int, re.findall(r"kernels: .*?: about (\d+) cycles", text))) / 1e6

    def measure(self, name, core, way):
        folder = os.path.join(self.folder, f"{name}_{core}_{way}")
        os.mkdir(folder)
        opt = "-Os" if self.args.level in "sz" else "-O2"
        model, target, header, compiler = self.build(name, core, way, folder)
        interface, inputs, wanted = emulated.host_outputs(self.args, model, folder, None, header)
        main = os.path.join(folder, "main.c")
        emulated.write_main(main, interface, inputs, os.path.basename(header))
        result = simulate(self.sim, core, compiler, [main, target], folder, opt)
        text = open(header).read()
        result["weights"] = int(re.search(r"Constants: (\d+) bytes", text).group(1))
        result["macs"] = int(re.search(r"of one call: (\d+)", text).group(1)) / 1e6
        result["estimate"] = self.estimate(model, core, folder)
        result["arena"] = interface.arena
        inputs_size = sum(x.nbytes for x in inputs)
        result["flash"] = flash_of(result) - self.empty_flash(core, compiler, opt) - inputs_size
        for k, y in enumerate(wanted):
            if result["outputs"].get(f"out{k}") != y.tobytes().hex():
                raise harness.Failure(f"output {k} differs from this machine's")
        return result

    def print_row(self, name, core, way):
        macs, goals = MODELS[name][1:] if name in MODELS else (None, {})
        try:
            r = self.measure(name, core, way)
        except (harness.Failure, harness.Unsupported) as e:
            print(f"{name:4} {core:4} {way:6} FAILED: {e}", flush=True)
            self.good = False
            return
        region = r["regions"][0]
        million = region["cycles"] / 1e6
        goal = goals.get(core)
        verdict = f"{goal:6.2f} {million / goal:5.2f}x" if goal else ""
        print(f"{name:4} {core:4} {way:6} {region['instructions'] / 1e6:9.3f} {million:9.3f} "
              f"{million / (macs or r['macs']):7.3f} {r['flash']:7} {r['weights']:7} {r['arena']:6} "
              f"{r['values'].get('stack', '?'):>5} {r['estimate'] / million:4.2f} {verdict}", flush=True)
        for cycles, instructions, function in r["top"] if self.args.layers else ():
            print(f"        {int(cycles) / 1e6:9.3f} cycles {int(instructions) / 1e6:9.3f} instr  "
                  f"{function}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--core", action="append", choices=CORES)
    p.add_argument("--model", action="append")
    p.add_argument("--way", action="append", choices=WAYS)
    p.add_argument("-O", dest="level", default="3", choices=list("0123sz"))
    p.add_argument("--layers", action="store_true", help="print the hottest functions too")
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)

    missing = emulated.missing_tools("m")
    if missing or not os.path.isdir(args.models):
        print(f"skipped: no {', '.join(missing) or args.models}")
        return 77
    with tempfile.TemporaryDirectory(prefix="mcc-bench-") as folder:
        sim, built = emulated.prepare_simulator(folder)
        if "cycles.so" not in built:
            return 77
        bench = Bench(args, sim, folder)
        print(f"-O{args.level}\nmodel core way        instr    cycles cyc/MAC   flash weights  "
              "arena stack cost   goal", flush=True)
        for name in args.model or MODELS:
            for core in args.core or CORES:
                for way in args.way or WAYS:
                    bench.print_row(name, core, way)
    return 0 if bench.good else 1


if __name__ == "__main__":
    sys.exit(main())
