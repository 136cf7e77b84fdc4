#!/usr/bin/python3
"""Measures networks on this machine, one thread, beside ONNX Runtime.

    tests/bench/host.py [--model NAME]... [--rounds N] [--ort DIR] [--level N] [--march CPU]

Models are those of ../shared/models.  Of each three builds are measured: mcc's object file
(-O3 -march=native -c), and its C by gcc and by clang (-O3 -march=native); and ONNX Runtime
with one thread, where node finds onnxruntime-node in DIR:

    mkdir ort && cd ort && npm install --ignore-scripts onnxruntime-node

Builds take turns within one run, N rounds of a hundred calls each; a number is the median
over all calls of a build, in microseconds, and the ratio is that to ONNX Runtime's.  All
builds of a model have to give the same bytes, for inputs that are the same for all.
"""
import argparse
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

# Name, file, options of mcc; whether ONNX Runtime can run it.
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
	for (size_t i = 0; i < sizeof %(input)s / sizeof %(input)s[0]; i++) {
		const int v = (int)(i * 37 %% 101) - 50;

		%(input)s[i] = sizeof %(input)s[0] == 1 ? v : v * 0.015625f;
	}
	for (int i = 0; i < 20; i++) {
		%(call)s;
	}
	for (int i = 0; i < %(calls)d; i++) {
		const double start = now();

		%(call)s;
		printf("%%.3f\n", now() - start);
	}
	for (size_t i = 0; i < sizeof %(output)s; i++) {
		printf("%%02x", ((const unsigned char *)%(output)s)[i]);
	}
	printf("\n");
	return 0;
}
"""

NODE = r"""
const ort = require('onnxruntime-node');
(async () => {
  const options = {intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential'};
  const session = await ort.InferenceSession.create(process.argv[2], options);
  const shape = JSON.parse(process.argv[3]), name = session.inputNames[0];
  const x = new Float32Array(shape.reduce((a, b) => a * b, 1));
  for (let i = 0; i < x.length; i++) x[i] = (i * 37 % 101 - 50) / 64;
  const feeds = {[name]: new ort.Tensor('float32', x, shape)};
  for (let i = 0; i < 20; i++) await session.run(feeds);
  for (let i = 0; i < +process.argv[4]; i++) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    console.log(Number(process.hrtime.bigint() - start) / 1e3);
  }
})();
"""


def harness(header):
    """A program that calls the model, and the shape of its input."""
    text = open(header).read()
    prefix, params = re.search(r"^int (\w+)_run\(([^)]*)\)", text, re.M).groups()
    buffers, names = [], []
    for param in params.split(","):
        kind, name = re.match(r"(?:const )?(\w+) \*(\w+)", param.strip()).groups()
        macro = "%s_%s_SIZE" % (prefix.upper(), name.upper())
        if name == "arena":
            kind, macro = "char", "%s_ARENA_SIZE + 1" % prefix.upper()
        buffers.append("static %s b_%s[%s] __attribute__((aligned(64)));" % (kind, name, macro))
        names.append("b_" + name)
    shape = re.search(r"input +\S+: \w+(\[[\d,]*\])", text).group(1)
    call = "%s_run(%s)" % (prefix, ", ".join(names))
    return MAIN % {"header": os.path.basename(header), "buffers": "\n".join(buffers),
                   "input": names[0], "output": names[1], "call": call, "calls": CALLS}, shape


def command(words, **more):
    done = subprocess.run(words, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit("%s:\n%s" % (" ".join(words), done.stderr))
    return done.stdout


def build(folder, path, options, args):
    """Programs by name, and the input's shape."""
    mcc = [MCC, "-O" + args.level, "-march=" + args.march] + options + [path, "-o"]
    programs = {}
    command(mcc + [folder + "/model.c"])
    text, shape = harness(folder + "/model.h")
    with open(folder + "/main.c", "w") as f:
        f.write(text)
    command(mcc + [folder + "/model.o", "-c"])
    ways = [("object", ["gcc", "-O2", "model.o"])]
    for compiler in ("gcc", "clang"):
        ways.append((compiler, [compiler, "-O3", "-march=" + args.march, "model.c"]))
    for name, words in ways:
        if not shutil.which(words[0]):
            print("%s is not here and left out" % words[0], file=sys.stderr)
            continue
        programs[name] = [os.path.join(folder, name)]
        command(words + ["-Wno-psabi", "main.c", "-lm", "-o", name], cwd=folder)
    return programs, shape


def measure(programs, rounds, folder):
    times, bits = {name: [] for name in programs}, {}
    for _ in range(rounds):
        for name, words in programs.items():
            lines = command(words, cwd=folder).split()
            times[name] += [float(t) for t in lines[:CALLS]]
            if lines[CALLS:]:
                bits.setdefault(hashlib.sha256(lines[CALLS].encode()).hexdigest(), []).append(name)
    if len(bits) > 1:
        sys.exit("builds differ: %s" % " / ".join(" ".join(sorted(set(n))) for n in bits.values()))
    return {name: statistics.median(t) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser(description="Networks on this machine.")
    parser.add_argument("--model", action="append", choices=sorted(MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ort", help="where onnxruntime-node is installed")
    parser.add_argument("--level", default="3")
    parser.add_argument("--march", default="native")
    args = parser.parse_args()
    print("%-20s %10s %17s %17s %17s" % ("", "ORT", "object", "C by gcc", "C by clang"))
    for name in args.model or MODELS:
        path = os.path.join(SHARED, MODELS[name][0])
        if not os.path.exists(path):
            print("%-20s is not in ../shared/models" % name)
            continue
        with tempfile.TemporaryDirectory() as folder:
            programs, shape = build(folder, path, MODELS[name][1], args)
            if args.ort and path.endswith(".onnx"):
                script = os.path.join(args.ort, "mcc_host_bench.js")
                with open(script, "w") as f:
                    f.write(NODE)
                programs["ort"] = ["node", script, path, shape, str(CALLS)]
            found = measure(programs, args.rounds, folder)
        row = "%-20s %10s" % (name, "%.1f" % found["ort"] if "ort" in found else "-")
        for build_name in ("object", "gcc", "clang"):
            ratio = "(%.2f)" % (found[build_name] / found["ort"]) if "ort" in found else ""
            row += " %9.1f %7s" % (found[build_name], ratio) if build_name in found else 18 * " "
        print(row, flush=True)


if __name__ == "__main__":
    main()
