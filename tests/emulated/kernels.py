#!/usr/bin/python3
"""Sweeps the kernels for emulated cores over shapes of quantised layers.

    tests/emulated/kernels.py [--mcc build/mcc] [--core m4]... [--graphs 3] [--seed 1]

Makes graphs of convolutions, depthwise convolutions, matrix products and sums of int8
tensors, some of the convolutions of uint8 and int16 ones and with zero points of weights: odd sizes, strides, dilations, paddings, 1 to 70 channels, weights and inputs at
the ends of their range, multipliers of all sizes.  Each graph is compiled for each core
with the first, second and third of the kernels of every layer (-fkernel=N) at -O3, and at
-O2 and -Os, to C for gcc and clang and to an object.  Every build must print the bytes
that the reference lowerings (-O0) give on this machine.  Without the tools of
tests/mcusim/README.md the exit status is 77.
"""
import argparse
import os
import random
import shutil
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import run as emulated  # noqa: E402
from run import harness  # noqa: E402

CORES = ["m0", "m3", "m4", "m7", "m33", "m55"]
MORE_CORES = ["rv32imac", "avr"]  # swept when named; avr by gcc, one small layer a graph
CHANNELS = [1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 31, 32, 64, 70]
AVR = "-target=avr -mcpu=atmega2560"
# Of the input and the output of a convolution.
TYPES = 6 * [("i8", "i8")] + [("u8", "i8"), ("i8", "u8"), ("u8", "u8"), ("i16", "i16")]
KINDS = ["conv", "pointwise", "depthwise", "3x3", "product", "sum"]


def numbers(rng, count, extreme):
    if extreme:
        return [rng.choice([-127, 127, -128, 0, 1, -1]) for _ in range(count)]
    return [rng.randint(-127, 127) for _ in range(count)]


def constant(name, shape, scales, values, dtype="i8", zero=0):
    size = ",".join(map(str, shape))
    per = f"q[0]({', '.join(f'{s:.7g}' for s in scales)})" if len(scales) > 1 else \
          f"q({scales[0]:.7g}, {zero})"
    return f"  %{name}: {dtype}[{size}] {per} = const [{', '.join(map(str, values))}]\n"


def zero_point(rng, dtype):
    if dtype == "i16":
        return 0
    return rng.choice([-128, -128, rng.randint(-128, 127)]) + (128 if dtype == "u8" else 0)


def output(rng, taps, relu, dtype="i8"):
    zero = zero_point(rng, dtype)
    # Mostly within the range; sometimes a factor of more than a half.
    scale = 0.0001 if rng.random() < 0.15 else 0.02 * taps ** 0.5
    return f"q({scale:.6g}, {zero})", ", activation=relu" if relu else ""


def windows(rng, kind, k, small):
    """A convolution: the input's type, and the lines of text."""
    channels, most, more = (CHANNELS[:7], 3, 3) if small else (CHANNELS, 5, 8)
    ic, oc, groups = rng.choice(channels), rng.choice(channels), 1
    kh, kw = rng.randint(1, most), rng.randint(1, most)
    sy, sx = rng.choice([1, 1, 2, 3]), rng.choice([1, 1, 2, 3])
    dy, dx = (1 if rng.random() < 0.8 else 2 for _ in range(2))
    pads = [rng.randint(0, 2) for _ in range(4)]
    if kind == "pointwise":
        kh = kw = sy = sx = 1
        pads = [0] * 4
    elif kind == "depthwise":
        groups = oc = ic = max(ic, 2)
    elif kind == "3x3":
        kh = kw = 3
        sy = sx = rng.choice([1, 2])
        dy = dx = 1
        if not small:
            ic, oc = rng.choice([8, 12, 16, 32]), rng.choice([8, 9, 16])
    h = (kh - 1) * dy + 1 + rng.randint(0, more)
    w = (kw - 1) * dx + 1 + rng.randint(0, more)
    oh = (h + pads[0] + pads[2] - (kh - 1) * dy - 1) // sy + 1
    ow = (w + pads[1] + pads[3] - (kw - 1) * dx - 1) // sx + 1
    taps = kh * kw * ic // groups
    scales = [0.005 * (1 + rng.random() * 5) for _ in range(oc if rng.random() < 0.7 else 1)]
    x, y = rng.choice(TYPES)
    q, activation = output(rng, taps, rng.random() < 0.5, y)
    zero = rng.randint(-128, 127) if "u8" in (x, y) and len(scales) == 1 else 0
    text = constant(f"w{k}", [oc, kh, kw, ic // groups], scales,
                    numbers(rng, oc * taps, rng.random() < 0.3), zero=zero)
    text += constant(f"b{k}", [oc], [s * 0.02 for s in scales],
                     [rng.randint(-5000, 5000) for _ in range(oc)],
                     "i64" if x == "i16" else "i32")
    text += (f"  %y{k}: {y}[1,{oh},{ow},{oc}] {q} = conv(%x{k}, %w{k}, %b{k}) "
             f"{{strides=[{sy}, {sx}], pads=[{', '.join(map(str, pads))}], "
             f"dilations=[{dy}, {dx}], group={groups}, layout=nhwc{activation}}}\n")
    return f"{x}[1,{h},{w},{ic}] q(0.02, {zero_point(rng, x)})", text


def product(rng, k):
    rows, n, m = rng.choice([1, 1, 2, 5]), rng.choice(CHANNELS), rng.choice(CHANNELS)
    q, _ = output(rng, n, False)
    text = constant(f"w{k}", [n, m], [0.01], numbers(rng, n * m, rng.random() < 0.3))
    text += f"  %y{k}: i8[{rows},{m}] {q} = matmul(%x{k}, %w{k})\n"
    return f"i8[{rows},{n}] q(0.02, {rng.randint(-128, 127)})", text


def total(rng, k):
    n = rng.randint(1, 300)
    q, activation = output(rng, 2, rng.random() < 0.5)
    attribute = f" {{{activation[2:]}}}" if activation else ""
    text = constant(f"f{k}", [1, 1, n, 1], [0.01], numbers(rng, n, True))
    text += (f"  %z{k}: i8[1,1,{n},1] q(0.03, 5) = mul(%x{k}, %f{k})\n"
             f"  %y{k}: i8[1,1,{n},1] {q} = add(%x{k}, %z{k}){attribute}\n")
    return f"i8[1,1,{n},1] q(0.02, {rng.randint(-128, 127)})", text


def graph(rng, small):
    kinds = [rng.choice(KINDS)] if small else KINDS + [rng.choice(KINDS) for _ in range(4)]
    inputs, body = [], ""
    for k, kind in enumerate(kinds):
        make = {"product": product, "sum": total}.get(kind)
        x, text = make(rng, k) if make else windows(rng, kind, k, small)
        inputs.append(f"%x{k}: {x}")
        body += text
    outputs = ", ".join(f"%y{k}" for k in range(len(kinds)))
    return f"graph @g({', '.join(inputs)}) {{\n{body}  return {outputs}\n}}\n"


def reference(args, model, folder):
    """Inputs, and the outputs of the reference lowerings."""
    target, header = harness.compile_model(args.mcc, model, folder, ["-O0"], "reference", ".c")
    interface = harness.Interface(header)
    params = [p for p in interface.params if p[2]]
    inputs = [emulated.random_input(p[1:4:2], k) for k, p in enumerate(params)]
    for x in inputs[::3]:
        x[::2] = np.iinfo(x.dtype).min
    library = harness.build_shared(target, "cc", ["-O1"], folder, "reference")
    return inputs, harness.call(library, interface, inputs)


def builds():
    """Options, compiler and suffix of each."""
    for options in (["-O3", "-fkernel=1"], ["-O3", "-fkernel=2"], ["-O3", "-fkernel=3"],
                    ["-O2"], ["-Os"]):
        yield options, "gcc", ".c"
    if shutil.which("clang-19"):
        yield ["-O3", "-fkernel=1"], "clang", ".c"
    yield ["-O3", "-fkernel=1"], "gcc", ".o"


def run_graph(args, sim, name, model, folder):
    inputs, wanted = reference(args, model, folder)
    good = count = 0
    for core in args.core or CORES:
        machine = (emulated.CORES[core] or AVR).split() + ["-fprefix=model"]
        for place, (options, compiler, suffix) in enumerate(builds()):
            if core == "avr" and (compiler != "gcc" or suffix != ".c"):
                continue
            target, header = harness.compile_model(args.mcc, model, folder, machine + options,
                                                   f"{core}_{place}", suffix)
            main = os.path.join(folder, f"{core}_{place}_main.c")
            emulated.write_main(main, harness.Interface(header), inputs, os.path.basename(header))
            what = f"{core} {'object' if suffix == '.o' else compiler} {' '.join(options)}"
            good += emulated.check(name, what, wanted,
                                   lambda: emulated.simulate(sim, core, compiler, [main, target],
                                                             folder))
            count += 1
    return good, count


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--core", action="append", choices=CORES + MORE_CORES)
    p.add_argument("--graphs", type=int, default=3)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)

    cores = args.core or CORES
    small = "avr" in cores
    if small and len(cores) > 1:
        p.error("avr is swept alone: its graphs are small")
    missing = emulated.missing_tools(cores[0])
    if missing:
        print(f"skipped: no {', '.join(missing)}")
        return 77
    good = count = 0
    with tempfile.TemporaryDirectory(prefix="mcc-kernels-") as folder:
        sim, built = emulated.prepare_simulator(folder)
        if ("avr_cycles" if small else "cycles.so") not in built:
            return 77
        for k in range(args.graphs):
            work = os.path.join(folder, str(k))
            os.mkdir(work)
            model = os.path.join(work, "sweep.mcc")
            with open(model, "w") as f:
                f.write(graph(random.Random(args.seed + k), small))
            g, n = run_graph(args, sim, f"sweep {args.seed + k}", model, work)
            good, count = good + g, count + n
    print(f"{good} of {count} builds give the bytes of the reference lowerings")
    return 0 if good == count else 1


if __name__ == "__main__":
    sys.exit(main())
