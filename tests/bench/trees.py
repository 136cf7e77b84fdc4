#!/usr/bin/python3
"""Measures decision trees on this machine and on emulated microcontrollers.

    tests/bench/trees.py [--model xgb100]... [--host] [--mcu] [--ways] [--check]

Models are those of ../shared/models where they are there, and forests that scikit-learn
trains here, with the rows that they were trained for.  Every build has to give the same
bits.  Two tables:

    this machine    nanoseconds of one row: NAME_run, and NAME_run_batch on all rows, as C
                    by gcc and clang (-O3 -march=x86-64-v3 on x86) and as mcc's own object
                    file; CPU time of the thread, the best of several passes over up to
                    20,000 different rows
    Cortex-M4, M0   bytes of flash (.text and .rodata of the model), of the arena, and
                    cycles of a row as tests/mcusim models them, with -Os and with -O2,
                    by arm-none-eabi-gcc

`bar` is what has to be reached, and `best peer` what the fastest or smallest other tree
compiler needs (docs/trees.md says where these numbers are from).  With --ways all ways to
compute a model are measured, not only the one that mcc chooses.  --check measures all
ways of forests of a dozen to ten thousand tests, and says how far the choice is from the
best: in time on this machine by gcc, in bytes with -Os and cycles with -O2 elsewhere.

Needs python3-numpy, gcc; for models python3-xgboost or ../shared/models, for forests
python3-sklearn and python3-onnx, for microcontrollers the tools of
tests/mcusim/README.md.  What is missing is left out with a word.
"""
import argparse
import json
import os
import platform
import re
import shutil
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../emulated"))
import run as emulated  # noqa: E402
from run import harness  # noqa: E402

ROWS = 20000
PASSES = 7
MCU_ROWS = 8

# What other tree compilers need: nanoseconds of one row and of one of a batch, bytes of
# flash on a Cortex-M4, each by the best of them.  Measured with gcc 12 and clang 14.
PEERS = {
    "xgb100": {"run": (1898, "lleaves"), "batch": (1277, "lleaves"), "m4": (175284, "tl2cgen")},
    "xgb1000": {"run": (30168, "lleaves"), "batch": (12170, "lleaves")},
    "digits1000": {"run": (5978, "lleaves"), "batch": (3360, "lleaves")},
    "bc100": {"m4": (24886, "tl2cgen")},
    "rf_d8": {"run": (1705, "emlearn, inexact"), "m4": (93774, "emlearn, inexact")},
    "rf_small": {"run": (10.9, "emlearn, inexact"), "m4": (1692, "emlearn, inexact")},
}
BARS = {
    "xgb100": {"run": 500, "batch": 511, "m4": 60000},
    "xgb1000": {"run": 4700, "batch": 4868},
    "digits1000": {"batch": 3360},
    "bc100": {"m4": 10200},
    "rf_small": {"m4": 2500},
}
SHARED = {"iris": "trees_iris", "bc100": "trees_breast_cancer100", "xgb100": "trees_xgb100",
          "digits1000": "trees_digits1000", "xgb1000": "trees_xgb1000"}
FORESTS = ["rf_small", "rf_d8", "rf_unb"]
# Forests for --check, from a dozen tests to ten thousand: trees, depth.
CHECKED = {"rf_1x4": (1, 4), "rf_3x4": (3, 4), "rf_10x3": (10, 3), "rf_30x5": (30, 5),
           "rf_100x4": (100, 4), "rf_20x12": (20, 12), "rf_100x8": (100, 8)}
WAYS = ["walk", "tables,order", "tables,rank", "packed,order", "packed,rank", "interleaved,order",
        "complete,order", "complete,rank", "vectors,order", "branches,none", "branches,order"]


# ---- Models ----

def shared_model(args, name):
    """(path, rows), or None."""
    place = os.path.join(args.models, SHARED[name])
    if not os.path.isdir(place):
        return None
    file = next(f for f in os.listdir(place) if f.startswith("model."))
    return os.path.join(place, file), np.load(os.path.join(place, "case0_in0.npy"))


def forest(name):
    from sklearn import datasets, ensemble
    if name == "rf_small":
        x, y = datasets.load_breast_cancer(return_X_y=True)
        model = ensemble.RandomForestClassifier(10, max_depth=5, random_state=0)
    else:
        x, y = datasets.load_digits(return_X_y=True)
        trees, depth = CHECKED.get(name, (100, 8 if name == "rf_d8" else None))
        model = ensemble.RandomForestClassifier(trees, max_depth=depth, random_state=0)
    x = x.astype(np.float32)
    return model.fit(x, y), x


def float_below(t):
    """The largest float that is not above the double: x <= t stays the same for floats."""
    f = np.float32(t)
    return np.nextafter(f, np.float32(-np.inf)) if float(f) > t else f


def forest_model(name, folder):
    """A forest as TreeEnsembleRegressor whose outputs are the mean probabilities."""
    from onnx import TensorProto, helper, save
    model, x = forest(name)
    a = {k: [] for k in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids",
                         "falsenodeids")}
    leaves = {k: [] for k in ("treeids", "nodeids", "ids", "weights")}
    for t, e in enumerate(model.estimators_):
        tree = e.tree_
        for i in range(tree.node_count):
            leaf = tree.children_left[i] < 0
            a["treeids"].append(t)
            a["nodeids"].append(i)
            a["featureids"].append(0 if leaf else int(tree.feature[i]))
            a["values"].append(0.0 if leaf else float(float_below(tree.threshold[i])))
            a["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            a["truenodeids"].append(0 if leaf else int(tree.children_left[i]))
            a["falsenodeids"].append(0 if leaf else int(tree.children_right[i]))
            share = tree.value[i][0] / tree.value[i][0].sum() / len(model.estimators_)
            for k, v in enumerate(share) if leaf else ():
                leaves["treeids"].append(t)
                leaves["nodeids"].append(i)
                leaves["ids"].append(k)
                leaves["weights"].append(float(v))
    classes = len(model.classes_)
    node = helper.make_node("TreeEnsembleRegressor", ["features"], ["prediction"],
                            domain="ai.onnx.ml", n_targets=classes,
                            **{"nodes_" + k: v for k, v in a.items()},
                            **{"target_" + k: v for k, v in leaves.items()})
    graph = helper.make_graph(
        [node], name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, x.shape[1]])],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, [1, classes])])
    path = os.path.join(folder, name + ".onnx")
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15),
                                                 helper.make_opsetid("ai.onnx.ml", 1)]), path)
    return path, x


def different_rows(x):
    """Enough rows that a processor cannot learn their branches by heart."""
    r = np.random.RandomState(5)
    parts = [x]
    while sum(map(len, parts)) < ROWS:
        parts.append(x[r.permutation(len(x))] * r.uniform(0.9, 1.1, x.shape))
    return np.concatenate(parts)[:ROWS].astype(np.float32)


def load(args, name, folder):
    try:
        if name in SHARED:
            return shared_model(args, name)
        return forest_model(name, folder)
    except ImportError as e:
        print(f"{name}: left out: {e}")
        return None


# ---- This machine ----

def host_main(folder, header, columns, outputs, has_batch):
    batch = f"model_run_batch({ROWS}ul, x, y, arena)" if has_batch else "0"
    path = os.path.join(folder, "main.c")
    with open(path, "w") as f:
        f.write(f'''
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "{header}"
static double now(void)
{{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}}
int main(int argc, char **argv)
{{
	float *x = malloc({ROWS}ul * {columns} * sizeof *x);
	float *y = malloc({ROWS}ul * {outputs} * sizeof *y);
	static unsigned char memory[MODEL_ARENA_SIZE + 64];
	unsigned char *arena = memory + (64 - (size_t)memory % 64) % 64;
	double run = 1e9, batch = 1e9;
	FILE *f = fopen(argv[1], "rb");
	if (argc != 3 || !f || fread(x, sizeof *x, {ROWS}ul * {columns}, f) != {ROWS}ul * {columns})
		return 2;
	for (int pass = 0; pass < {PASSES}; pass++) {{
		double t = now();
		for (int r = 0; r < {ROWS}; r++)
			if (model_run(x + r * {columns}l, y + r * {outputs}l, arena))
				return 3;
		t = now() - t;
		run = t < run ? t : run;
	}}
	f = fopen(argv[2], "wb");
	fwrite(y, sizeof *y, {ROWS}ul * {outputs}, f);
	for (int pass = 0; pass < {PASSES}; pass++) {{
		double t = now();
		if ({batch})
			return 3;
		t = now() - t;
		batch = t < batch ? t : batch;
	}}
	fwrite(y, sizeof *y, {ROWS}ul * {outputs}, f);
	fclose(f);
	printf("%.1f %.1f\\n", run / {ROWS} * 1e9, batch / {ROWS} * 1e9);
	return 0;
}}
''')
    return path


def sizes_of(header):
    return {n: int(v) for n, v in re.findall(r"^#define MODEL_(\w+)_SIZE (\d+)u",
                                             open(header).read(), re.M)}


def is_x86():
    return platform.machine() in ("x86_64", "AMD64")


class Host:
    """Builds of one model for this machine."""

    def __init__(self, args, model, x, folder):
        self.args, self.model, self.folder, self.outputs = args, model, folder, {}
        self.rows = os.path.join(folder, "rows.bin")
        different_rows(x).tofile(self.rows)

    def measure(self, name, way, build):
        """(nanoseconds of run, of run_batch)"""
        folder = tempfile.mkdtemp(dir=self.folder)
        options = ["-fprefix=model"] + ([f"-ftrees={way}"] if way else [])
        if build == "object" and is_x86():
            options += ["-target", "x86-64", "-march=x86-64-v3", "-O3"]
        target, header = harness.compile_model(self.args.mcc, self.model, folder, options,
                                               "model", ".o" if build == "object" else ".c")
        sizes = sizes_of(header)
        main = host_main(folder, "model.h", sizes["FEATURES"], sizes["PREDICTION"], True)
        program = os.path.join(folder, "bench")
        cc = "gcc" if build == "object" else build
        flags = ["-O3", "-w", "-std=gnu99"] + (["-march=x86-64-v3"] if is_x86() else [])
        done = harness.run([cc, *flags, "-I", folder, main, target, "-o", program], timeout=900)
        if done.returncode != 0:
            raise harness.Failure(f"{cc} failed: {done.stderr[-400:]}")
        result = os.path.join(folder, "result.bin")
        done = harness.run([program, self.rows, result], timeout=900)
        if done.returncode != 0:
            raise harness.Failure(f"the program returned {done.returncode}")
        run, batch = np.array_split(np.fromfile(result, np.uint32), 2)
        first = self.outputs.setdefault(name, run)
        if not (np.array_equal(run, first) and np.array_equal(batch, first)):
            raise harness.Failure("the results differ from those of another build")
        return tuple(map(float, done.stdout.split()))


def chosen_way(args, model, options, folder):
    """What -Rpass=trees says of the (first) ensemble."""
    path = os.path.join(folder, "way.c")
    done = harness.run([args.mcc, model, "-o", path, "-Rpass=trees", *options])
    m = re.search(r"trees: (\d+) trees with (\d+) tests, (\d+) deep, as ([a-z ]+):", done.stderr)
    return m.groups() if m else ("?", "?", "?", "?")


def verdict(name, kind, value):
    text = ""
    if kind in BARS.get(name, {}):
        bar = BARS[name][kind]
        text += f"  bar {bar} {'met' if value <= bar else 'MISSED'}"
    if kind in PEERS.get(name, {}):
        peer, who = PEERS[name][kind]
        text += f"  {peer / value:.2f}x of {who}"
    return text


def bench_host(args, name, model, x, folder):
    host = Host(args, model, x, folder)
    builds = [b for b in ("gcc", "clang-19") if shutil.which(b)] + ["object"]
    best = {}
    for way in WAYS if args.ways else [None]:
        line = []
        for build in builds:
            try:
                run, batch = host.measure(name, way, build)
            except (harness.Failure, harness.Unsupported) as e:
                line.append(f"{build}: {str(e)[:60]}")
                continue
            line.append(f"{build:8} {run:8.0f} {batch:8.0f}")
            for kind, value in (("run", run), ("batch", batch)):
                best[kind] = min(best.get(kind, value), value)
        print(f"{name:11} {way or chosen_way(args, model, [], folder)[3]:22} {'   '.join(line)}",
              flush=True)
    for kind, value in best.items():
        text = verdict(name, kind, value)
        if text:
            print(f"{'':11} {kind}: {value:.0f} ns{text}")


# ---- Is the best way chosen? ----

def judge(name, where, chosen, costs):
    """Prints how far the way that mcc chose is from the best of those that were measured."""
    best = min(costs, key=costs.get)
    over = costs[chosen] / costs[best] - 1
    print(f"{name:11} {where:6} chosen {chosen:18} {costs[chosen]:10.0f}, best {best:18} "
          f"{costs[best]:10.0f}: {'+' if over else ' '}{over:.0%}{' TOO MUCH' if over > 0.1 else ''}",
          flush=True)


def way_word(text):
    """'complete on integers' as -ftrees= has it."""
    code, _, keys = text.partition(" on ")
    return code + {"integers": ",order", "ranks": ",rank"}.get(keys, ",none" if code == "branches"
                                                                else "")


def check_host(args, name, model, x, folder):
    host, costs = Host(args, model, x, folder), {}
    chosen = way_word(chosen_way(args, model, [], folder)[3])
    for way in dict.fromkeys(WAYS + [chosen]):
        try:
            costs[way] = host.measure(name, way, "gcc")[0]
        except (harness.Failure, harness.Unsupported):
            pass
    judge(name, "host", chosen, costs)


def check_mcu(args, sim, name, model, x, folder):
    """Bytes with -Os, cycles with -O2."""
    for core, machine in CORES.items():
        for level in ("-Os", "-O2"):
            costs = {}
            chosen = way_word(chosen_way(args, model, machine + [level], folder)[3])
            for way in dict.fromkeys(WAYS + [chosen]):
                try:
                    flash, _, cycles = measure_mcu(sim, args, core, level, way, model, x, folder)
                except (harness.Failure, harness.Unsupported):
                    continue
                costs[way] = flash if level == "-Os" else cycles
            if chosen in costs:
                judge(name, core + level, chosen, costs)


# ---- Microcontrollers ----

CORES = {"m4": ["-mcpu=cortex-m4", "-mfloat-abi=hard"], "m0": ["-mcpu=cortex-m0"]}


def mcu_main(folder, header, x, sizes, empty):
    path = os.path.join(folder, "main.c")
    values = ",".join(map(str, x[:MCU_ROWS].view(np.uint32).reshape(-1)))
    call = "" if empty else f"model_run(rows + r * {x.shape[1]}, y, arena);"
    with open(path, "w") as f:
        f.write(f'''#include "mcusim.h"
#include "{header}"
static const union {{
	uint32_t bits[{MCU_ROWS * x.shape[1]}];
	float x[1];
}} data = {{{{{values}}}}};
static float y[{sizes["PREDICTION"]}];
static uint32_t arena[MODEL_ARENA_SIZE / 4 + 1];
int main(void)
{{
	const float *volatile rows = data.x;
	mcu_begin("run");
	for (int r = 0; r < {MCU_ROWS}; r++) {{ {call} }}
	mcu_end();
	mcu_print_hex("out0", y, sizeof y);
	return rows == 0 || arena[0] == 1;
}}
''')
    return path


def simulate(sim, core, files, folder, opt):
    command = [os.path.join(sim, "mcusim"), "--core", core, "-I", folder, "--json",
               "--opt=" + opt, "--cflags=-std=gnu11 -ffp-contract=off", *files]
    done = harness.run(command, timeout=900)
    if done.returncode != 0:
        raise harness.Failure((done.stdout + done.stderr).strip()[-300:])
    return json.loads(next(t for t in done.stdout.splitlines() if t.startswith("{")))


def measure_mcu(sim, args, core, level, way, model, x, folder):
    """(bytes of flash, of the arena, cycles of a row)"""
    inside = tempfile.mkdtemp(dir=folder)
    options = CORES[core] + [level, "-fprefix=model", "-fno-batch"]
    options += [f"-ftrees={way}"] if way else []
    source, header = harness.compile_model(args.mcc, model, inside, options)
    flash = flash_of(source, core, level, inside)
    sizes = sizes_of(header)
    main = mcu_main(inside, "model.h", x, sizes, False)
    try:
        result = simulate(sim, core, [main, source], inside, level)
    except harness.Failure as e:
        if "FLASH" in str(e) or "overflow" in str(e):
            return flash, sizes["ARENA"], float("inf")
        raise
    return flash, sizes["ARENA"], result["regions"][0]["cycles"] // MCU_ROWS


def bench_mcu(args, sim, name, model, x, folder):
    for core, machine in CORES.items():
        for level in ("-Os", "-O2"):
            for way in WAYS if args.ways else [None]:
                try:
                    flash, arena, cycles = measure_mcu(sim, args, core, level, way, model, x,
                                                       folder)
                except harness.Failure as e:
                    print(f"{name:11} {core} {level} {way}: {str(e)[:60]}", flush=True)
                    continue
                say = way or chosen_way(args, model, machine + [level], folder)[3]
                text = verdict(name, core, flash) if level == "-Os" and not way else ""
                what = f"{cycles:8}" if cycles < float("inf") else "too large for the board"
                print(f"{name:11} {core} {level} {say:22} {flash:8} bytes, arena "
                      f"{arena:5}, {what} cycles{text}", flush=True)


def flash_of(source, core, level, folder):
    """Bytes of code and constants of the model alone, without libraries."""
    machine = {"m4": ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
               "m0": ["-mcpu=cortex-m0"]}[core]
    target = os.path.join(folder, "flash.o")
    done = harness.run(["arm-none-eabi-gcc", "-mthumb", *machine, level, "-std=c99", "-w", "-c",
                        source, "-o", target], timeout=900)
    if done.returncode != 0:
        raise harness.Failure(f"arm-none-eabi-gcc failed: {done.stderr[-300:]}")
    done = harness.run(["arm-none-eabi-size", target])
    return int(done.stdout.splitlines()[1].split()[0])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--model", action="append", choices=[*SHARED, *FORESTS, *CHECKED])
    p.add_argument("--host", action="store_true", help="only this machine")
    p.add_argument("--mcu", action="store_true", help="only microcontrollers")
    p.add_argument("--ways", action="store_true", help="all ways to compute a model")
    p.add_argument("--check", action="store_true",
                   help="whether the way that mcc chooses is within 10 %% of the best")
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)
    with tempfile.TemporaryDirectory(prefix="mcc-bench-") as folder:
        names = args.model or ([*CHECKED, *SHARED] if args.check else [*SHARED, *FORESTS])
        models = {n: m for n in names if (m := load(args, n, folder))}
        if not models:
            print("skipped: no models")
            return 77
        if not args.mcu:
            print("this machine: nanoseconds of a row by run and by run_batch")
            for name, (model, x) in models.items():
                (check_host if args.check else bench_host)(args, name, model, x, folder)
        missing = emulated.missing_tools("m")
        if missing and not args.host:
            print(f"microcontrollers left out: no {', '.join(missing)}")
        elif not args.host:
            sim, built = emulated.prepare_simulator(folder)
            for name, (model, x) in models.items() if "cycles.so" in built else ():
                (check_mcu if args.check else bench_mcu)(args, sim, name, model,
                                                         x.astype(np.float32), folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
