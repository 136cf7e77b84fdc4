#!/usr/bin/python3
"""Measures single int8 layers on an emulated microcontroller, in instructions per product.

    tests/bench/layers.py [--core m4] [--way gcc]... [--layer conv]... [-O3]

Each layer is a graph of its own, with random weights, a scale a channel, padding where its
kernel has more than one tap, and a ReLU; its products are those of the formula, also the
ones in the padding.  Everything that the call runs is counted: borders, requantisation, the
entry of the model.  Every build has to give the bytes of the object file for this machine.

    direct, winograd  which kernel is measured: the first one of that name, or any
    bar               what docs/kernels.md wants on Cortex-M4
    CMSIS-NN          of a like layer by its kernels, gcc 12 (../shared/kernels.md)

Without the tools of tests/mcusim/README.md the exit status is 77.
"""
import argparse
import os
import random
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mcu  # noqa: E402
from mcu import emulated, harness  # noqa: E402

# name: kind, height, width, input channels, output channels, kernel, bar, CMSIS-NN
LAYERS = {
    "conv": ("dot2", 32, 32, 16, 16, 3, 1.15, 2.33),
    "conv32": ("dot2", 16, 16, 32, 32, 3, 1.15, 2.33),
    "winograd": ("winograd", 16, 16, 32, 32, 3, 0.5, 2.33),
    "winograd16": ("winograd", 32, 32, 16, 16, 3, None, 2.33),
    "pointwise": ("", 25, 5, 64, 64, 1, 1.25, 2.04),
    "depthwise": ("depthwise", 25, 5, 64, 64, 3, 2.4, 8.09),
    "connected": ("", 1, 1, 640, 128, 1, 1.4, 1.95),
}
KERNELS = 8  # that are looked through for one of a name


def layer_text(kind, h, w, ic, oc, k):
    rng = random.Random(f"{kind} {h} {w} {ic} {oc} {k}")
    groups = ic if kind == "depthwise" else 1
    count = oc * k * k * ic // groups
    pad = k // 2
    scales = ", ".join(f"{0.002 * (1 + rng.random()):.6g}" for _ in range(oc))
    weights = ", ".join(str(max(-127, min(127, round(rng.gauss(0, 25))))) for _ in range(count))
    bias = ", ".join(str(rng.randint(-2000, 2000)) for _ in range(oc))
    scale = 0.002 * (k * k * ic / groups) ** 0.5
    return (f"graph @layer(%x: i8[1,{h},{w},{ic}] q(0.05, 3)) {{\n"
            f"  %w: i8[{oc},{k},{k},{ic // groups}] q[0]({scales}) = const [{weights}]\n"
            f"  %b: i32[{oc}] = const [{bias}]\n"
            f"  %y: i8[1,{h},{w},{oc}] q({scale:.6g}, -128) = conv(%x, %w, %b) "
            f"{{pads=[{pad}, {pad}, {pad}, {pad}], group={groups}, layout=nhwc, "
            f"activation=relu}}\n  return %y\n}}\n")


class LayerBench(mcu.Bench):
    def model(self, name):
        path = os.path.join(self.folder, name + ".mcc")
        if not os.path.exists(path):
            with open(path, "w") as f:
                f.write(layer_text(*LAYERS[name][:6]))
        return path

    def place(self, name, core):
        """The first kernel of the layer's kind: its place and name."""
        kind = LAYERS[name][0] if LAYERS[name][0] in ("dot2", "winograd") else ""
        for nth in range(1, KERNELS):
            text = harness.run([self.args.mcc, *self.options(core, nth), "-Rpass=kernels",
                                self.model(name), "-o", os.path.join(self.folder, "e.c")]).stderr
            found = re.search(r"kernels: (.*?): about", text)
            if found and kind in found.group(1):
                return nth, found.group(1)
        return None

    def print_layer(self, name, core, ways):
        _, h, w, ic, oc, k, bar, peer = LAYERS[name]
        macs = h * w * oc * k * k * (1 if LAYERS[name][0] == "depthwise" else ic)
        place = self.place(name, core)
        if not place:
            print(f"{name:11} there is no such kernel on {core}", flush=True)
            return
        figures = []
        for way in ways:
            try:
                region = self.run(name, core, way, self.fresh(name, way), place[0])[0]["regions"][0]
                figures.append((region["instructions"] / macs, region["cycles"] / macs))
            except (harness.Failure, harness.Unsupported) as e:
                print(f"{name:11} {way}: FAILED: {e}", flush=True)
                self.good = False
                return
        texts = "".join(f"{i:8.3f} ({c:.3f})" for i, c in figures)
        goal = f"{bar:6.2f} {min(i for i, _ in figures) / bar:5.2f}x" if bar else " " * 13
        if core != "m4":
            goal, peer = "", ""
        print(f"{name:11} {h}x{w}x{ic} to {oc:<4} {place[1][:24]:24}{texts} {goal} {peer}",
              flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--core", default="m4", choices=mcu.CORES + mcu.MORE_CORES)
    p.add_argument("--layer", action="append", choices=list(LAYERS))
    p.add_argument("--way", action="append", choices=mcu.WAYS)
    p.add_argument("-O", dest="level", default="3", choices=list("0123sz"))
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)
    args.models = os.path.dirname(os.path.abspath(__file__))  # none is read from there
    ways = args.way or mcu.WAYS

    with mcu.workplace(args) as place:
        if not place:
            return 77
        bench = LayerBench(args, *place)
        print("instructions (cycles) a product" + " " * 17 +
              "".join(f"{way:>16}" for way in ways) + "    bar        CMSIS-NN")
        for name in args.layer or LAYERS:
            bench.print_layer(name, args.core, ways)
    return 0 if bench.good else 1


if __name__ == "__main__":
    sys.exit(main())
