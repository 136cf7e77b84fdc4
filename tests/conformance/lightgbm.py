#!/usr/bin/python3
"""Runs LightGBM's text models through mcc beside a second reading of the format.

LightGBM itself is not needed, and not compared with: Debian has no package of it.  The
other side is evaluate() below, written from the description of the format alone
(gbdt_model_text.cpp, tree.h, tree.cpp), one row and one node at a time, with nothing of
mcc in it.  Models are those of ../shared/models (not part of the repository) and random
ones that are made here: all kinds of missing values, sets of categories, linear models in
the leaves, averages, several classes, and every objective.  Rows hold thresholds and the
numbers next to them, zeros of either sign and numbers that count as zero, categories that
no set knows, negative, huge and infinite numbers, and NaN.

Sums have to be the same bits where leaves are constants; what exp or a linear model goes
through may differ by 1e-12.
"""
import argparse
import ctypes
import math
import os
import re
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
OBJECTIVES = ["regression", "regression sqrt", "regression_l1", "huber", "fair", "poisson",
              "quantile", "mape", "gamma", "tweedie", "binary sigmoid:1", "binary sigmoid:0.7",
              "cross_entropy", "cross_entropy_lambda", "lambdarank", "rank_xendcg",
              "multiclass num_class:3", "multiclassova num_class:3 sigmoid:1.5", ""]
ZERO = 1.0000000180025095e-35  # 1e-35f


# ---- The second reading ----

def blocks(text):
    """The header and the trees as dictionaries."""
    found = [{}]
    for line in re.split("end of trees|feature importances", text)[0].splitlines():
        key, _, value = line.partition("=")
        if key == "Tree":
            found.append({})
        elif key:
            found[-1][key] = value
    return found[0], found[1:]


def numbers(tree, key, kind=float):
    return [kind(v) for v in tree.get(key, "").split()]


def goes_left(tree, node, x):
    decision = int(tree["decision_type"].split()[node])
    threshold = float(tree["threshold"].split()[node])
    missing = decision >> 2 & 3
    if decision & 1:
        if math.isnan(x) or abs(x) > 2**31:
            return False
        first, last = numbers(tree, "cat_boundaries", int)[int(threshold):int(threshold) + 2]
        category = int(x)
        words = numbers(tree, "cat_threshold", int)[first:last]
        return 0 <= category < 32 * len(words) and \
            words[category // 32] >> category % 32 & 1 == 1
    if math.isnan(x) and missing != 2:
        x = 0.0
    if (missing == 1 and abs(x) <= ZERO) or (missing == 2 and math.isnan(x)):
        return decision & 2 != 0
    return x <= threshold


def leaf_output(tree, leaf, row):
    value = numbers(tree, "leaf_value")[leaf]
    if tree.get("is_linear") != "1":
        return value
    counts = numbers(tree, "num_features", int)
    first = sum(counts[:leaf])
    features = numbers(tree, "leaf_features", int)[first:first + counts[leaf]]
    coeff = numbers(tree, "leaf_coeff")[first:first + counts[leaf]]
    if any(math.isnan(row[f]) for f in features):
        return value
    return numbers(tree, "leaf_const")[leaf] + sum(c * row[f] for c, f in zip(coeff, features))


def tree_output(tree, row):
    if int(tree["num_leaves"]) == 1:
        return leaf_output(tree, 0, row)
    node = 0
    while node >= 0:
        side = "left_child" if goes_left(tree, node, row[numbers(tree, "split_feature", int)[node]]) \
            else "right_child"
        node = numbers(tree, side, int)[node]
    return leaf_output(tree, ~node, row)


def transformed(objective, sums):
    name, *params = objective.split() or ["custom"]
    sigmoid = next((float(p[8:]) for p in params if p.startswith("sigmoid:")), 1.0)
    if name in ("binary", "multiclassova", "cross_entropy"):
        return [1 / (1 + math.exp(-sigmoid * v)) for v in sums]
    if name == "multiclass":
        e = [math.exp(v - max(sums)) for v in sums]
        return [v / sum(e) for v in e]
    if name in ("poisson", "gamma", "tweedie"):
        return [math.exp(v) for v in sums]
    if name == "cross_entropy_lambda":
        return [math.log1p(math.exp(v)) for v in sums]
    return [math.copysign(v * v, v) for v in sums] if "sqrt" in params else sums


def evaluate(text, rows):
    header, trees = blocks(text)
    classes = int(header["num_tree_per_iteration"])
    results = []
    for row in rows:
        sums = [0.0] * classes
        for i, tree in enumerate(trees):
            sums[i % classes] += tree_output(tree, row)
        if "average_output" in header:
            sums = [v / (len(trees) // classes) for v in sums]
        results.append(transformed(header.get("objective", ""), sums))
    return np.array(results)


# ---- Models and rows ----

class Maker:
    """Makes a random model; notes numbers that rows should have."""

    def __init__(self, seed, objective, linear, average, features=6):
        self.r = np.random.RandomState(seed)
        self.features, self.linear = features, linear
        self.interesting = [[] for _ in range(features)]
        self.classes = 3 if objective.startswith("multiclass") else 1
        trees = "".join(self.tree(i) for i in range(self.classes * 5))
        names = " ".join(f"f{i}" for i in range(features))
        self.text = (f"tree\nversion=v4\nnum_class={self.classes}\n"
                     f"num_tree_per_iteration={self.classes}\nlabel_index=0\n"
                     f"max_feature_idx={features - 1}\n"
                     + (f"objective={objective}\n" if objective else "")
                     + ("average_output\n" if average else "")
                     + f"feature_names={names}\nfeature_infos={' '.join(['none'] * features)}\n"
                     f"tree_sizes=0\n\n{trees}end of trees\n\nparameters:\nend of parameters\n")

    def node(self, sets):
        """(feature, threshold, decision_type)"""
        feature = self.r.randint(self.features)
        if self.r.randint(3) == 0:
            words = self.r.randint(0, 2**32, self.r.randint(1, 4), dtype=np.int64)
            sets.append([int(w) for w in words])
            self.interesting[feature] += [0, 31, 32, 63, 64, 95, 96, 5.9, -0.5, -1, -1.5]
            return feature, len(sets) - 1, 1 | self.r.randint(3) << 2
        most = 2.0 if self.linear else 1e30
        threshold = float(self.r.choice([0.0, 1e-300, -ZERO, 0.5, self.r.randn(), most]))
        self.interesting[feature] += [threshold, np.nextafter(threshold, np.inf),
                                      np.nextafter(threshold, -np.inf)]
        return feature, threshold, self.r.randint(2) << 1 | self.r.randint(3) << 2

    def children(self, leaves):
        """Splits a random leaf again and again."""
        left, right = [], []
        where = {0: None}
        for node in range(leaves - 1):
            leaf = self.r.choice(list(where))
            if where[leaf]:
                side, parent = where[leaf]
                side[parent] = node
            left.append(~leaf)
            right.append(~(node + 1))
            where[leaf], where[node + 1] = (left, node), (right, node)
        return left, right

    def linear_part(self, leaves):
        counts = self.r.randint(0, 4, leaves)
        used = [self.r.choice(self.features, n, replace=False) for n in counts]
        return (f"leaf_const={words(self.r.randn(leaves))}\nnum_features={words(counts)}\n"
                f"leaf_features={'  '.join(words(u) for u in used)}\n"
                f"leaf_coeff={'  '.join(words(self.r.randn(n) / 50) for n in counts)}\n")

    def tree(self, number):
        leaves = self.r.choice([1, 2, 3, 8, 20])
        sets, left, right = [], *self.children(leaves)
        nodes = [self.node(sets) for _ in range(leaves - 1)]
        text = f"Tree={number}\nnum_leaves={leaves}\nnum_cat={len(sets)}\n"
        if nodes:
            feature, threshold, decision = zip(*nodes)
            text += (f"split_feature={words(feature)}\nsplit_gain={words([1] * len(nodes))}\n"
                     f"threshold={words(threshold)}\ndecision_type={words(decision)}\n"
                     f"left_child={words(left)}\nright_child={words(right)}\n")
        text += f"leaf_value={words(self.r.randn(leaves))}\n"
        if sets:
            bounds = np.cumsum([0] + [len(s) for s in sets])
            text += f"cat_boundaries={words(bounds)}\ncat_threshold={words(sum(sets, []))}\n"
        text += f"is_linear={int(self.linear)}\n"
        return text + (self.linear_part(leaves) if self.linear else "") + "shrinkage=0.1\n\n\n"

    def rows(self, n=300):
        """Linear models are not asked about numbers whose sums overflow."""
        always = [0.0, -0.0, ZERO, -ZERO, 2 * ZERO, np.nan, 1.5]
        always += [] if self.linear else [np.inf, -np.inf, 1e300, 3e9, -3e9]
        return np.array([[self.r.choice(always + self.interesting[f])
                          for f in range(self.features)] for _ in range(n)])


def words(values):
    return " ".join(repr(v.item() if hasattr(v, "item") else v) for v in values)


# ---- Both sides ----

def predict(args, model, rows, cc, options):
    """NAME_run_batch of the C, which is NAME_run for a part of the rows."""
    with harness.scratch_folder() as scratch:
        source, header = harness.compile_model(args.mcc, model, scratch,
                                               ["-fprefix=model", *options])
        text = open(header).read()
        size = {n: int(v) for n, v in re.findall(r"MODEL_(\w+)_SIZE (\d+)u", text)}
        memory = np.zeros(size["ARENA"] + 64, np.uint8)
        arena = memory.ctypes.data + -memory.ctypes.data % 64
        y = np.full((len(rows), size["PREDICTION"]), np.nan)
        library = harness.build_shared(source, cc, ["-std=c99", "-O2", "-w"], scratch)
        ctypes.CDLL(library).model_run_batch(
            ctypes.c_size_t(len(rows)), rows.ctypes.data_as(ctypes.c_void_p),
            y.ctypes.data_as(ctypes.c_void_p), ctypes.c_void_p(arena))
        return y


def compare(args, text, rows, exact):
    want = evaluate(text, rows)
    with harness.scratch_folder() as scratch:
        model = os.path.join(scratch, "model.txt")
        with open(model, "w") as f:
            f.write(text)
        for options in (["-O0"], ["-O2"], ["-Os"], ["-w", "-ftrees=branches,order"]):
            got = predict(args, model, rows, args.cc[0], options)
            same = got == want if exact else np.isclose(got, want, rtol=1e-12, atol=1e-12)
            if not np.all(same | (np.isnan(got) & np.isnan(want))):
                k = int(np.argmin(same.all(axis=1)))
                raise harness.Failure(f"{' '.join(options)}: row {k}, {rows[k].tolist()}: "
                                      f"{got[k]}, not {want[k]}")


def made(args):
    for i, objective in enumerate(OBJECTIVES):
        for linear in (False, True):
            for average in (False, True):
                def run(seed=100 * i + 2 * linear + average, o=objective, n=linear, a=average):
                    m = Maker(seed, o, n, a)
                    plain = transformed(o, [0.5]) == [0.5] and not n
                    compare(args, m.text, m.rows(), plain)
                kind = ("linear " if linear else "") + ("average" if average else "sum")
                yield f"{objective or 'no objective'}, {kind}", run


def recorded(args):
    for name in sorted(os.listdir(args.models)) if os.path.isdir(args.models) else ():
        model = os.path.join(args.models, name, "model.txt")
        case = os.path.join(args.models, name, "case0_in0.npy")
        if name.startswith("lgbm_") and os.path.exists(model) and os.path.exists(case):
            yield name, lambda m=model, c=case: compare(
                args, open(m).read(), np.load(c).astype(np.float64), True)


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--cc", action="append")
    p.add_argument("names", nargs="*", help="parts of names (default: all)")
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)
    args.cc = args.cc or ["gcc"]
    cases = [c for c in (*made(args), *recorded(args))
             if not args.names or any(n in c[0] for n in args.names)]
    return harness.run_cases(cases)


if __name__ == "__main__":
    sys.exit(main())
