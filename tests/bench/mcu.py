#!/usr/bin/python3
"""Measures the MLPerf Tiny int8 models on emulated microcontrollers and prints one table.

    tests/bench/mcu.py [--core m4]... [--model kws]... [-O3] [--way gcc]... [--layers]
    tests/bench/mcu.py --variants [--core m4]... [--model kws]... [--way gcc]...

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

With --layers each layer follows: its cycles, and the estimate of its kernel by them.  With
--variants each layer is measured with each of its kernels (-fkernel=N); it counts as well
chosen when no other takes 3 % less.  Both measure builds of C.  Needs ../shared/models and
the tools of tests/mcusim/README.md; without them the exit status is 77.
"""
import argparse
import contextlib
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
MORE_CORES = ["rv32imac"]  # measured when named; built by gcc, and as objects
WAYS = ["gcc", "clang", "object"]


def simulate(sim, core, compiler, files, folder, opt):
    """The result of one run, with its outputs in it."""
    command = [os.path.join(sim, "mcusim"), "--core", core, "--cc", compiler, "-I", folder,
               "--json", "--show-output", "--opt=" + opt,
               "--cflags=-std=gnu11 -ffp-contract=off -fomit-frame-pointer", *files]
    done = harness.run(command, timeout=900)
    if done.returncode != 0:
        raise harness.Failure((done.stdout + done.stderr).strip()[-600:])
    line = next(t for t in done.stdout.splitlines() if t.startswith("{"))
    result = json.loads(line)
    result["outputs"] = dict(re.findall(r"^(out\d+)=([0-9a-f]*)\r?$", done.stdout, re.M))
    return result


def flash_of(result):
    return result["size"]["text"] + result["size"]["rodata"]


def c_name(name):
    """How the start of a value's name reads in C."""
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:40]


def mark_calls(source):
    """Makes each call of a layer a region of its own; the texts of the calls."""
    text = open(source).read()
    start = re.search(r"^int model_run\(", text, re.M).start()
    calls = []

    def mark(m):
        calls.append(m.group(1))
        return f'\tmcu_begin("layer");\n{m.group(0)}\tmcu_end();\n'

    body = re.sub(r"^\t(model_\w+\([^;]*\));\n", mark, text[start:], flags=re.M)
    with open(source, "w") as f:
        f.write('#include "mcusim.h"\n' + text[:start] + body)
    return calls


@contextlib.contextmanager
def workplace(args):
    """The simulator and a folder to work in; None where tools or models are missing."""
    missing = emulated.missing_tools("m")
    if missing or not os.path.isdir(args.models):
        print(f"skipped: no {', '.join(missing) or args.models}")
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="mcc-bench-") as folder:
        sim, built = emulated.prepare_simulator(folder)
        yield (sim, folder) if "cycles.so" in built else None


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

    def options(self, core, nth):
        return emulated.CORES[core].split() + ["-fprefix=model", "-O" + self.args.level,
                                               f"-fkernel={nth}"]

    def model(self, name):
        folder = MODELS[name][0] if name in MODELS else name
        return os.path.join(self.args.models, folder, "model.tflite")

    def build(self, name, core, way, folder, nth=1):
        """The files of one build, its compiler and its header."""
        suffix = ".o" if way == "object" else ".c"
        target, header = harness.compile_model(self.args.mcc, self.model(name), folder,
                                               self.options(core, nth), f"{way}_{core}", suffix)
        return target, header, "clang" if way == "clang" else "gcc"

    def estimates(self, name, core, folder, nth=1):
        """Of each layer that has kernels: its name, the kernel's and its cycles."""
        command = [self.args.mcc, *self.options(core, nth), "-Rpass=kernels", self.model(name),
                   "-o", os.path.join(folder, "estimate.c")]
        text = harness.run(command).stderr
        return re.findall(r"op \d+ '([^']*)'.*kernels: (.*?): about (\d+) cycles", text)

    def run(self, name, core, way, folder, nth=1, layers=False):
        """A run's result, and the calls that are its regions."""
        opt = "-Os" if self.args.level in "sz" else "-O2"
        target, header, compiler = self.build(name, core, way, folder, nth)
        interface, inputs, wanted = emulated.host_outputs(self.args, self.model(name), folder,
                                                          None, header)
        main = os.path.join(folder, "main.c")
        emulated.write_main(main, interface, inputs, os.path.basename(header))
        calls = mark_calls(target) if layers else []
        if layers:
            text = re.sub(r"\bmcu_(begin|end)\([^)]*\);", "", open(main).read())
            with open(main, "w") as f:
                f.write(text)
        result = simulate(self.sim, core, compiler, [main, target], folder, opt)
        for k, y in enumerate(wanted):
            if result["outputs"].get(f"out{k}") != y.tobytes().hex():
                raise harness.Failure(f"output {k} differs from this machine's")
        text = open(header).read()
        result["weights"] = int(re.search(r"Constants: (\d+) bytes", text).group(1))
        result["macs"] = int(re.search(r"of one call: (\d+)", text).group(1)) / 1e6
        result["arena"] = interface.arena
        inputs_size = sum(x.nbytes for x in inputs)
        result["flash"] = flash_of(result) - self.empty_flash(core, compiler, opt) - inputs_size
        return result, calls

    def fresh(self, *words):
        return tempfile.mkdtemp(prefix="_".join(words) + "_", dir=self.folder)

    def measure(self, name, core, way):
        folder = self.fresh(name, core, way)
        result, _ = self.run(name, core, way, folder)
        estimates = self.estimates(name, core, folder)
        result["estimate"] = sum(int(cycles) for _, _, cycles in estimates) / 1e6
        return result

    def layers(self, name, core, way, nth=1):
        """Of each layer that has kernels: name, kernel, estimate, cycles, instructions."""
        folder = self.fresh(name, core, way)
        result, calls = self.run(name, core, way, folder, nth, layers=True)
        rows, at = [], 0
        for layer, kernel, cycles in self.estimates(name, core, folder, nth):
            while at < len(calls) and c_name(layer) not in calls[at]:
                at += 1
            if at == len(calls):
                break
            region = result["regions"][at]
            rows.append((layer, kernel, int(cycles), region["cycles"], region["instructions"]))
            at += 1
        return rows

    def print_layers(self, name, core, way):
        for layer, kernel, estimate, cycles, instructions in self.layers(name, core, way):
            print(f"    {layer[:24]:24} {kernel:24} {instructions:9} instr {cycles:9} cycles "
                  f"{estimate / cycles:5.2f}", flush=True)

    def print_variants(self, name, core, way):
        """How many layers have the best of their kernels, of how many."""
        kernels = {}  # of a layer, in the order of the estimates
        for nth in range(1, 5):
            for place, row in enumerate(self.layers(name, core, way, nth)):
                kernels.setdefault((place, row[0]), {})[row[1]] = row[3]
        good = 0
        for (_, layer), found in kernels.items():
            cycles = list(found.values())
            is_good = cycles[0] <= 1.03 * min(cycles)
            good += is_good
            texts = ", ".join(f"{kernel} {c}" for kernel, c in found.items())
            print(f"    {' ' if is_good else '!'} {layer[:24]:24} {texts}", flush=True)
        print(f"{name:4} {core:4} {way:6} {good} of {len(kernels)} layers well chosen", flush=True)

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
        if self.args.layers and way != "object":
            self.print_layers(name, core, way)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--core", action="append", choices=CORES + MORE_CORES)
    p.add_argument("--model", action="append")
    p.add_argument("--way", action="append", choices=WAYS)
    p.add_argument("-O", dest="level", default="3", choices=list("0123sz"))
    p.add_argument("--layers", action="store_true", help="print each layer too")
    p.add_argument("--variants", action="store_true", help="measure all kernels of each layer")
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)

    with workplace(args) as place:
        if not place:
            return 77
        bench = Bench(args, *place)
        if args.variants:
            for name in args.model or MODELS:
                for core in args.core or CORES:
                    for way in args.way or WAYS[:1]:
                        bench.print_variants(name, core, way)
            return 0
        print(f"-O{args.level}\nmodel core way        instr    cycles cyc/MAC   flash weights  "
              "arena stack cost   goal", flush=True)
        for name in args.model or MODELS:
            for core in args.core or CORES:
                for way in args.way or WAYS:
                    bench.print_row(name, core, way)
    return 0 if bench.good else 1


if __name__ == "__main__":
    sys.exit(main())
