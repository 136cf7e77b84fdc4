#!/usr/bin/python3
"""Measures networks on this machine, one thread, beside ONNX Runtime.

    tests/bench/host.py [NAME or FILE]... [--option=OPTION]... [--rounds N] [--ort DIR]
                        [--level N] [--march CPU]
    tests/bench/host.py --layers | --variants [NAME or FILE]... [--march CPU]

Models are those of ../shared/models by name, or files, for which mcc gets the options of
--option, as in --option=-Dn=1.  Of each three builds are measured: mcc's object file
(-O3 -march=native -c), and its C by gcc and by clang (-O3 -march=native); and ONNX Runtime
with one thread, where node finds onnxruntime-node in DIR:

    mkdir ort && cd ort && npm install --ignore-scripts onnxruntime-node

Builds take turns within one run, N rounds of up to a hundred calls each; a number is the
median over all calls of a build, in microseconds, and the ratio is that to ONNX Runtime's.
All builds of a model have to give the same bytes, for inputs that are the same for all.

With --layers each layer of the C by clang is measured instead: microseconds, and the
estimate of its kernel by them.  With --variants each layer is measured with each of its
kernels (-fkernel=N), and counts as well chosen when no other takes 5 % less.
"""
import argparse
import collections
import hashlib
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MCC = os.path.join(HERE, "../../build/mcc")
SHARED = os.path.join(HERE, "../../../shared/models")

# Name, file, options of mcc.
MODELS = {
    "ds-cnn": ("compress_dscnn/model.onnx", ["-D", "n=1"]),
    "resnet-8": ("compress_resnet8/model.onnx", []),
    "mobilenet-v1": ("onnx_vww96/model.onnx", []),
    "ocr angle": ("onnx_ppocr_cls/model.onnx", ["-finput-shape=x:1x3x48x192"]),
    "resnet-8 tflite": ("mlperf_ic_f32/model.tflite", []),
    "resnet-8 int8": ("mlperf_ic_i8/model.tflite", []),
    "mobilenet-v1 tflite": ("mlperf_vww_f32/model.tflite", []),
    "mobilenet-v1 int8": ("mlperf_vww_i8/model.tflite", []),
}
CALLS = 100
SECONDS = 2  # of the calls of a round, at most
VARIANTS = 6

MAIN = r"""
#define _POSIX_C_SOURCE 199309L
#include "%(header)s"
#include <stdio.h>
#include <time.h>
%(buffers)s
static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

int main(void)
{
	double begin;

%(fill)s
	for (int i = 0; i < 3; i++) {
		%(call)s;
	}
	begin = now();
	for (int i = 0; i < %(calls)d && now() - begin < %(seconds)d * 1e6; i++) {
		const double start = now();

		%(call)s;
		printf("%%.3f\n", now() - start);
	}
	printf("bytes ");
%(show)s
	printf("\n");
	return 0;
}
"""

# What inputs of a type are filled with, in C and in JavaScript, and the array type there.
VALUES = {
    "f32": ("(float)((int)(i * 37 % 101) - 50) * 0.015625f", "Float32Array", "float32",
            "(i * 37 % 101 - 50) / 64"),
    "i8": ("(int)(i * 37 % 101) - 50", "Int8Array", "int8", "i * 37 % 101 - 50"),
    "u8": ("i * 37 % 101", "Uint8Array", "uint8", "i * 37 % 101"),
    "i32": ("1", "Int32Array", "int32", "1"),
    "i64": ("1", "BigInt64Array", "int64", "1n"),
    "bool": ("1", "Uint8Array", "bool", "1"),
}

NODE = r"""
const ort = require('onnxruntime-node');
(async () => {
  const options = {intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential'};
  const session = await ort.InferenceSession.create(process.argv[2], options);
  const feeds = {};
  [%(inputs)s].forEach(([make, type, value, shape], k) => {
    const x = new make(shape.reduce((a, b) => a * b, 1));
    for (let i = 0; i < x.length; i++) x[i] = value(i);
    feeds[session.inputNames[k]] = new ort.Tensor(type, x, shape);
  });
  for (let i = 0; i < 3; i++) await session.run(feeds);
  const begin = Date.now();
  for (let i = 0; i < %(calls)d && Date.now() - begin < %(seconds)d * 1000; i++) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    console.log(Number(process.hrtime.bigint() - start) / 1e3);
  }
})();
"""

# Time of each call within the model's function, over all its calls.
MARKS = r"""
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <time.h>
static long long bench_start;
static void bench_begin(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	bench_start = t.tv_sec * 1000000000LL + t.tv_nsec;
}
static void bench_end(int layer)
{
	const long long start = bench_start;

	bench_begin();
	printf("layer %d %lld\n", layer, bench_start - start);
}
"""


def interface(header):
    """The prefix, parameters (type, name) and tensors (input or output, type, shape)."""
    text = open(header).read()
    prefix, params = re.search(r"^int (\w+)_run\(([^)]*)\)", text, re.M).groups()
    params = [re.match(r"(?:const )?(\w+) \*(\w+)", p.strip()).groups() for p in params.split(",")]
    tensors = re.findall(r"^ \*   (input|output) +\S+: (\w+)\[([\d,]*)\]", text, re.M)
    return prefix, params, tensors


def harness(header):
    """A program that calls the model."""
    prefix, params, tensors = interface(header)
    buffers, names, fill, show = [], [], [], []
    for place, (kind, name) in enumerate(params):
        macro = "%s_%s_SIZE" % (prefix.upper(), name.upper())
        role, dtype, _ = tensors[place] if place < len(tensors) else ("arena", None, None)
        if kind == "void":
            kind, macro = "char", "%s_ARENA_SIZE + 1" % prefix.upper()
        buffers.append("static %s b_%s[%s] __attribute__((aligned(64)));" % (kind, name, macro))
        names.append("b_" + name)
        if role == "input":
            if dtype not in VALUES:
                sys.exit("%s: no values for inputs of %s" % (header, dtype))
            fill.append("\tfor (size_t i = 0; i < %s; i++)\n\t\tb_%s[i] = (%s)(%s);"
                        % (macro, name, kind, VALUES[dtype][0]))
        elif role == "output":
            show.append("\tfor (size_t i = 0; i < sizeof b_%s; i++)\n\t\tprintf(\"%%02x\", "
                        "((const unsigned char *)b_%s)[i]);" % (name, name))
    return MAIN % {"header": os.path.basename(header), "buffers": "\n".join(buffers),
                   "fill": "\n".join(fill), "show": "\n".join(show), "calls": CALLS,
                   "seconds": SECONDS, "call": "%s_run(%s)" % (prefix, ", ".join(names))}


def node_script(header):
    inputs = []
    for role, dtype, shape in interface(header)[2]:
        if role == "input":
            _, make, kind, value = VALUES[dtype]
            inputs.append("[%s, '%s', i => %s, [%s]]" % (make, kind, value, shape))
    return NODE % {"inputs": ", ".join(inputs), "calls": CALLS, "seconds": SECONDS}


def command(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError("%s:\n%s" % (" ".join(words), done.stderr))
    return done.stdout


def compiler_words(compiler, args):
    return [compiler, "-O3", "-march=" + args.march, "-Wno-psabi"]


def mcc_words(model, args, *more):
    path, options = model
    return [MCC, "-O" + args.level, "-march=" + args.march, *options, *args.option, *more, path]


def build(folder, model, args):
    """Programs by name."""
    programs = {}
    command(mcc_words(model, args, "-o", folder + "/model.c"))
    with open(folder + "/main.c", "w") as f:
        f.write(harness(folder + "/model.h"))
    command(mcc_words(model, args, "-c", "-o", folder + "/model.o"))
    ways = [("object", ["gcc", "-O2", "model.o"])]
    for compiler in ("gcc", "clang"):
        ways.append((compiler, compiler_words(compiler, args) + ["model.c"]))
    for name, words in ways:
        if not shutil.which(words[0]):
            print("%s is not here and left out" % words[0], file=sys.stderr)
            continue
        programs[name] = [os.path.join(folder, name)]
        command(words + ["main.c", "-lm", "-o", name], cwd=folder)
    if args.ort and model[0].endswith(".onnx"):
        script = os.path.join(args.ort, "mcc_host_bench_%d.js" % os.getpid())
        with open(script, "w") as f:
            f.write(node_script(folder + "/model.h"))
        programs["ort"] = ["node", script, os.path.abspath(model[0])]
    return programs


def measure(programs, rounds, folder):
    times, bits = {name: [] for name in programs}, {}
    for _ in range(rounds):
        for name, words in programs.items():
            for line in command(words, cwd=folder).splitlines():
                if line.startswith("bytes "):
                    bits.setdefault(hashlib.sha256(line.encode()).hexdigest(), set()).add(name)
                else:
                    times[name].append(float(line))
    if len(bits) > 1:
        raise RuntimeError("builds differ: %s" % " / ".join(" ".join(sorted(n))
                                                            for n in bits.values()))
    return {name: statistics.median(t) for name, t in times.items()}


def print_row(name, model, args):
    with tempfile.TemporaryDirectory() as folder:
        programs = build(folder, model, args)
        try:
            found = measure(programs, args.rounds, folder)
        finally:
            if "ort" in programs:
                os.remove(programs["ort"][1])
    row = "%-20s %10s" % (name, "%.1f" % found["ort"] if "ort" in found else "-")
    for build_name in ("object", "gcc", "clang"):
        ratio = "(%.2f)" % (found[build_name] / found["ort"]) if "ort" in found else ""
        row += " %9.1f %7s" % (found[build_name], ratio) if build_name in found else 18 * " "
    print(row, flush=True)


def mark_calls(source):
    """Times each call of the model's function; what they are named."""
    text = open(source).read()
    start = re.search(r"^int model_run\(", text, re.M).start()
    calls = []

    def mark(m):
        calls.append(m.group(1))
        return "\tbench_begin();\n%s\tbench_end(%d);\n" % (m.group(0), len(calls) - 1)

    body = re.sub(r"^\t(model_\w+\([^;]*\));\n", mark, text[start:], flags=re.M)
    with open(source, "w") as f:
        f.write(MARKS + text[:start] + body)
    return calls


def c_name(name):
    return re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:30]


def time_layers(model, args, nth):
    """Of each layer that has kernels: its name, kernel, estimate and microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        words = mcc_words(model, args, "-fprefix=model", "-fkernel=%d" % nth, "-Rpass=kernels",
                          "-o", folder + "/model.c")
        remarks = subprocess.run(words, capture_output=True, text=True).stderr
        with open(folder + "/main.c", "w") as f:
            f.write(harness(folder + "/model.h"))
        calls = mark_calls(folder + "/model.c")
        command(compiler_words(args.compiler, args) + ["model.c", "main.c", "-lm", "-o", "run"],
                cwd=folder)
        times = collections.defaultdict(list)
        for line in command([folder + "/run"]).splitlines():
            if line.startswith("layer "):
                times[int(line.split()[1])].append(int(line.split()[2]) / 1e3)
    rows, at = [], 0
    for layer, kernel, cycles in re.findall(
            r"op \d+ '([^']*)'.*kernels: (.*?): about (\d+) cycles", remarks):
        while at < len(calls) and c_name(layer) not in calls[at]:
            at += 1
        if at == len(calls):
            break
        rows.append((layer, kernel, int(cycles), statistics.median(times[at])))
        at += 1
    rest = sum(statistics.median(t) for t in times.values()) - sum(r[3] for r in rows)
    return rows, rest


def print_layers(name, model, args):
    rows, rest = time_layers(model, args, 1)
    print(name)
    for layer, kernel, cycles, time in rows:
        print("    %-40s %-28s %9.2f us %8.2f cycles/ns" %
              (layer[-40:], kernel, time, cycles / time / 1e3))
    print("    %-40s %-28s %9.2f us" % ("other layers", "", rest))


def print_variants(name, model, args):
    kernels = {}  # of a layer, in the order of the estimates
    for nth in range(1, VARIANTS + 1):
        for place, row in enumerate(time_layers(model, args, nth)[0]):
            found = kernels.setdefault((place, row[0]), {})
            found.setdefault(row[1], []).append(row[3])
    good = 0
    for (_, layer), found in kernels.items():
        times = {kernel: min(t) for kernel, t in found.items()}
        first = next(iter(times.values()))
        is_good = first <= 1.05 * min(times.values())
        good += is_good
        print("    %s %-32s %s" % (" " if is_good else "!", layer[-32:],
                                   ", ".join("%s %.2f" % t for t in times.items())), flush=True)
    print("%s: %d of %d layers well chosen" % (name, good, len(kernels)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="NAME or FILE")
    parser.add_argument("--option", action="append", default=[], help="an option of mcc")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ort", help="where onnxruntime-node is installed")
    parser.add_argument("--level", default="3")
    parser.add_argument("--march", default="native")
    parser.add_argument("--layers", action="store_true", help="measure each layer")
    parser.add_argument("--variants", action="store_true", help="measure all kernels of each layer")
    parser.add_argument("--compiler", default="clang", help="of --layers and --variants")
    args = parser.parse_args()
    act = print_layers if args.layers else print_variants if args.variants else print_row
    if act == print_row:
        print("%-20s %10s %17s %17s %17s" % ("", "ORT", "object", "C by gcc", "C by clang"))
    for name in args.models or MODELS:
        known = MODELS.get(name)
        model = (os.path.join(SHARED, known[0]), known[1]) if known else (name, [])
        if not os.path.exists(model[0]):
            print("%-20s is not here" % name)
            continue
        label = name if known else os.path.basename(os.path.splitext(name)[0])
        if label == "model":
            label = os.path.basename(os.path.dirname(os.path.abspath(name)))
        try:
            act(label[:20], model, args)
        except RuntimeError as e:
            print("%-20s %s" % (label[:20], str(e).strip()[-300:]), flush=True)


if __name__ == "__main__":
    main()
