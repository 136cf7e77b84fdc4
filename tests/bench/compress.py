#!/usr/bin/python3
"""Compresses networks and measures them on an emulated microcontroller: does what the
cost model says is saved come off the flash and the cycles?

    tests/bench/compress.py [--core m4] [--model lenet5]... [--recipe 80%]... [-O2] [--layers]

Each network is compressed by each recipe with the samples of ../shared/data (or those
recorded with the model), compiled to C, built by gcc -O2 (-Os for -Os and -Oz) and run on
the core; the outputs have to be those of an object file for this machine.  `dense` is the
8-bit network without zeros made on purpose.  Columns:

    flash, cycles   bytes, and millions of one inference, as measured
    of dense        both as a share of the dense network's
    predicted       what they should be, by what `--report` estimates for the program: the
                    dense network's, by the ratio of the estimates; and by how many percent
                    that is off
    forms           the kernels of the layers

With --layers each layer follows: its kernel, its cycles, the estimate of those, and by how
many percent that is off.  --kernel=N takes the N-th kernel of each layer, for costs.def.

Needs what tests/bench/mcu.py needs, and numpy; exits with 77 without.
"""
import argparse
import collections
import os
import re
import sys

import numpy as np

sys.dont_write_bytecode = True
import mcu  # noqa: E402
from mcu import emulated, harness  # noqa: E402

RECIPES = {
    "dense": "-fquantize=int8",
    "50%": "-fprune=layer:50% -fquantize=int8",
    "80%": "-fprune=layer:80% -fquantize=int8",
    "90%": "-fprune=layer:90% -fquantize=int8",
    "95%": "-fprune=layer:95% -fquantize=int8",
    "2:4": "-fprune=2:4 -fquantize=int8",
    "block:50%": "-fprune=block:50% -fquantize=int8",
    "block:75%": "-fprune=block:75% -fquantize=int8",
    "channel:50%": "-fprune=channel:50% -fquantize=int8",
    "int4": "-fquantize=int4",
    "ternary": "-fquantize=ternary",
    "pow2": "-fquantize=pow2",
    "cluster4": "-fquantize=int8 -fcluster=4",
    "cluster3": "-fquantize=int8 -fcluster=3",
    "cluster2": "-fquantize=int8 -fcluster=2",
    "80%+int4": "-fprune=layer:80% -fquantize=int4",
    "90%+int4": "-fprune=layer:90% -fquantize=int4",
    "2:4+int4": "-fprune=2:4 -fquantize=int4",
}
# name: model, samples
MODELS = {
    "lenet5": ("compress_lenet5/model.onnx", "mnist_calib1024"),
    "mlp": ("compress_mlp/model.onnx", "mnist_calib1024"),
    "dscnn": ("compress_dscnn/model.onnx", "mnist_calib1024"),
    "resnet8": ("compress_resnet8/model.onnx", "cifar10j_calib512"),
    "ad": ("mlperf_ad_f32/model.tflite", None),
    "kws": ("mlperf_kws_f32/model.tflite", None),
    "vww": ("mlperf_vww_f32/model.tflite", None),
    "ic": ("mlperf_ic_f32/model.tflite", "cifar10j_calib512"),
}
TOTAL = re.compile(r"^flash about (\d+) bytes: .*; about (\d+) cycles$", re.M)
STEP = re.compile(r"^ *(\d+) +\d+ +\d+ +\d+ (\S+): (.+)$", re.M)


class Bench(mcu.Bench):
    def samples(self, name):
        """The file of a network's samples."""
        model, data = MODELS[name]
        path = os.path.join(self.folder, f"{name}_x.npy")
        if not data:
            folder = os.path.dirname(os.path.join(self.args.models, model))
            cases = sorted(f for f in os.listdir(folder) if re.match(r"case\d+_in0\.npy", f))
            np.save(path, np.stack([np.load(os.path.join(folder, f)) for f in cases]))
            return path
        x = np.load(os.path.join(self.args.models, "../data", data + ".npz"))["x"].astype(np.float32)
        if "mnist" in data:
            x = (x / np.float32(255)).reshape(-1, 1, 28, 28)
        elif name == "resnet8":
            x = x.transpose(0, 3, 1, 2)
        np.save(path, np.ascontiguousarray(x))
        return path

    def compress(self, name, recipe, folder):
        """The compressed network in text form."""
        path = os.path.join(folder, "model.mcc")
        command = [self.args.mcc, "-w", "-O" + self.args.level, *RECIPES[recipe].split(),
                   "-fcalib=" + self.samples(name), "-D", "n=1", "-E",
                   os.path.join(self.args.models, MODELS[name][0]), "-o", path]
        done = harness.run(command, timeout=900)
        if done.returncode != 0:
            raise harness.Failure(done.stderr.strip()[-300:])
        return path

    def options(self, core):
        return [*emulated.CORES[core].split(), "-fprefix=model", "-O" + self.args.level,
                f"-fkernel={self.args.kernel}"]

    def estimates(self, model, core, folder):
        """Bytes and cycles of the program, and the name, kernel and cycles of each step."""
        command = [self.args.mcc, "-w", *self.options(core), "--report", model,
                   "-o", os.path.join(folder, "estimate.c")]
        text = harness.run(command).stdout
        total = TOTAL.search(text)
        steps = [(n, k, int(c)) for c, n, k in STEP.findall(text) if k != "copy"]
        return int(total.group(1)), int(total.group(2)), steps

    def run(self, name, recipe, core):
        """Flash and cycles, the estimates of them, the steps, and the cycles of each."""
        folder = os.path.join(self.folder, re.sub(r"\W", "_", f"{name}_{recipe}_{core}"))
        os.mkdir(folder)
        model = self.compress(name, recipe, folder)
        opt = "-Os" if self.args.level in "sz" else "-O2"
        source, header = harness.compile_model(self.args.mcc, model, folder, self.options(core))
        interface, inputs, wanted = emulated.host_outputs(self.args, model, folder, None, header)
        main = os.path.join(folder, "main.c")
        emulated.write_main(main, interface, inputs, os.path.basename(header))
        result = mcu.simulate(self.sim, core, "gcc", [main, source], folder, opt)
        for k, y in enumerate(wanted):
            if result["outputs"].get(f"out{k}") != y.tobytes().hex():
                raise harness.Failure(f"output {k} differs from this machine's")
        flash = mcu.flash_of(result) - self.empty_flash(core, "gcc", opt) - sum(x.nbytes for x in inputs)
        size, cycles, steps = self.estimates(model, core, folder)
        each = self.cycles_of_calls(main, source, folder, core, opt) if self.args.layers else []
        return flash, result["regions"][0]["cycles"], size, cycles, steps, each

    def cycles_of_calls(self, main, source, folder, core, opt):
        """The cycles of each call, by the text of it."""
        calls = mcu.mark_calls(source)
        text = re.sub(r"\bmcu_(begin|end)\([^)]*\);", "", open(main).read())
        with open(main, "w") as f:
            f.write(text)
        regions = mcu.simulate(self.sim, core, "gcc", [main, source], folder, opt)["regions"]
        return [(call, r["cycles"]) for call, r in zip(calls, regions)]

    def print_layers(self, steps, calls):
        at = 0
        for name, kernel, estimate in steps:
            while at < len(calls) and mcu.c_name(name) not in calls[at][0]:
                at += 1
            if at == len(calls):
                return
            cycles = calls[at][1]
            at += 1
            print(f"    {name[-24:]:24} {kernel:32} {cycles:9} {estimate:9} "
                  f"{100 * (estimate / cycles - 1):+4.0f}%", flush=True)

    def print_model(self, name, core):
        dense = None
        for recipe in ["dense"] + [r for r in self.args.recipe or RECIPES if r != "dense"]:
            try:
                r = self.run(name, recipe, core)
            except (harness.Failure, harness.Unsupported) as e:
                print(f"{name:8} {recipe:12} FAILED: {e}", flush=True)
                self.good = False
                continue
            dense = dense or r
            kernels = collections.Counter(kernel for _, kernel, _ in r[4])
            forms = ", ".join(f"{n} {k}" if n > 1 else k for k, n in kernels.items())
            flash, cycles = round(dense[0] * r[2] / dense[2]), dense[1] * r[3] / dense[3]
            print(f"{name:8} {recipe:12} {r[0]:7} {r[1] / 1e6:8.3f}  {r[0] / dense[0]:5.2f} "
                  f"{r[1] / dense[1]:5.2f}  {flash:7} {100 * (flash / r[0] - 1):+4.0f}% "
                  f"{cycles / 1e6:8.3f} {100 * (cycles / r[1] - 1):+4.0f}%  {forms}", flush=True)
            self.print_layers(r[4], r[5])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(mcu.HERE, "../../../shared/models"))
    p.add_argument("--core", default="m4", choices=mcu.CORES)
    p.add_argument("--model", action="append", choices=MODELS)
    p.add_argument("--recipe", action="append", choices=RECIPES)
    p.add_argument("-O", dest="level", default="2", choices=list("0123sz"))
    p.add_argument("--layers", action="store_true", help="print each layer too")
    p.add_argument("--kernel", type=int, default=1, help="the N-th kernel of each layer")
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)

    with mcu.workplace(args) as place:
        if not place:
            return 77
        bench = Bench(args, *place)
        print(f"{args.core} -O{args.level}\nmodel    recipe         flash   cycles  of dense     "
              "predicted                   forms", flush=True)
        for name in args.model or MODELS:
            bench.print_model(name, args.core)
    return 0 if bench.good else 1


if __name__ == "__main__":
    sys.exit(main())
