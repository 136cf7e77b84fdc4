#!/usr/bin/python3
"""Runs tree ensembles of XGBoost and LightGBM through mcc and C compilers.

 - The tabular models of ../shared/models with their recorded outputs (not part of
   the repository; left out without them).
 - Models that this script trains with Debian's python3-xgboost, for every objective
   and booster: sums of leaves must be equal bit for bit, predictions within 1e-6
   (left out where xgboost is not installed).

Each is compiled to C at several levels and with trees computed in all ways; all must
give the same bits, and so must NAME_run_batch.
"""
import argparse
import ctypes
import json
import os
import re
import sys
import tempfile

import numpy as np

import harness

sys.dont_write_bytecode = True
# Ways to compute trees; what a model cannot have becomes another way with a warning.
WAYS = ["tables,rank", "packed,order", "interleaved,order", "interleaved,rank", "complete,order",
        "vectors,order", "branches,order"]
HERE = os.path.dirname(os.path.abspath(__file__))


def predict(args, model, x, levels):
    """What the C makes of the rows, at every level; they must agree."""
    first = None
    options = [f"-finput-shape=features:{x.shape[0]}x{x.shape[1]}"]
    for level in levels:
        with harness.scratch_folder() as scratch:
            source, header = harness.compile_model(args.mcc, model, scratch, options + level)
            for cc in args.cc:
                library = harness.build_shared(source, cc, ["-std=c99", "-O1", "-w"], scratch,
                                               "m" + str(abs(hash(cc))))
                y = harness.call(library, harness.Interface(header), [x])[0].copy()
                if first is not None and y.tobytes() != first.tobytes():
                    raise harness.Failure(f"{cc} {' '.join(level)} gives other bits")
                first = y
    return first


def many_calls(args, model, x, want):
    """NAME_run_batch on all rows, of the model for one, has the bits of one call for all."""
    with harness.scratch_folder() as scratch:
        source, header = harness.compile_model(args.mcc, model, scratch, ["-O3", "-fprefix=model"])
        size = int(re.search(r"MODEL_ARENA_SIZE (\d+)", open(header).read()).group(1))
        arena = np.zeros(size + 64, np.uint8)
        start = arena.ctypes.data + -arena.ctypes.data % 64
        for cc in args.cc:
            library = harness.build_shared(source, cc, ["-std=c99", "-O3", "-w"], scratch,
                                           "b" + str(abs(hash(cc))))
            y = np.full_like(want, -1)
            ctypes.CDLL(library).model_run_batch(
                ctypes.c_size_t(len(x)), x.ctypes.data_as(ctypes.c_void_p),
                y.ctypes.data_as(ctypes.c_void_p), ctypes.c_void_p(start))
            if y.tobytes() != want.tobytes():
                raise harness.Failure(f"{cc}: other results by NAME_run_batch")


def compare(y, want, tolerance):
    want = want.reshape(-1)
    if y.size != want.size:
        raise harness.Failure(f"{y.size} results instead of {want.size}")
    wrong = ~np.isclose(y, want, rtol=tolerance, atol=tolerance, equal_nan=True)
    if tolerance == 0:
        wrong = y.view(np.uint32) != want.astype(np.float32).view(np.uint32)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise harness.Failure(f"{wrong.sum()} of {y.size} differ, the first at {k}: "
                              f"{y[k]!r}, not {want[k]!r}")


def logf(x):
    """That of libm, which XGBoost uses; NumPy has its own."""
    libm = ctypes.CDLL("libm.so.6")
    libm.logf.restype = ctypes.c_float
    return np.float32(libm.logf(ctypes.c_float(x)))


def as_margin(model, folder):
    """The same model with an objective that puts out the sums."""
    import xgboost
    path = os.path.join(folder, "margin.json")
    xgboost.Booster(model_file=model).save_model(path)
    m = json.load(open(path))
    name = m["learner"]["objective"]["name"]
    param = m["learner"]["learner_model_param"]
    base = np.float32(param["base_score"])
    if name.endswith("logistic"):
        base = -logf(np.float32(1) / base - np.float32(1))
    elif name.startswith(("count:", "survival:")) or name in ("reg:gamma", "reg:tweedie"):
        base = logf(base)
    m["learner"]["objective"]["name"] = "reg:squarederror"
    param["base_score"] = repr(float(base))
    json.dump(m, open(path, "w"))
    return path


# ---- Recorded models ----

def recorded(args):
    for name in sorted(os.listdir(args.models)):
        folder = os.path.join(args.models, name)
        for file in ("model.json", "model.ubj", "model.txt"):
            path = os.path.join(folder, file)
            if name.startswith(("trees_", "xgb_", "lgbm_")) and os.path.exists(path):
                yield f"{name}/{file}", lambda p=path, f=folder: run_recorded(args, p, f)


def run_recorded(args, path, folder):
    text = path.endswith(".txt")
    for case in range(9):
        inputs = os.path.join(folder, f"case{case}_in0.npy")
        if not os.path.exists(inputs):
            break
        x = np.load(inputs).astype(np.float64 if text else np.float32)
        want = np.load(os.path.join(folder, f"case{case}_out0.npy"))
        got = predict(args, path, x, args.levels)
        compare(got, want, 1e-9 if text else 1e-6)
        many_calls(args, path, np.ascontiguousarray(x), got)


# ---- XGBoost ----

def trained():
    """(name, parameters, rounds, labels, features)"""
    r = np.random.RandomState(0)
    x = r.randn(400, 6).astype(np.float32)
    x[r.rand(*x.shape) < 0.1] = np.nan
    z = np.nan_to_num(x)
    y = z[:, 0] * 2 + z[:, 1] * z[:, 2] - (z[:, 3] > 0.2)
    positive, classes = np.exp(y / 4), np.digitize(y, [-1, 1])
    for name in ("reg:squarederror", "reg:pseudohubererror", "rank:pairwise"):
        yield name, {"objective": name}, y, x
    for name in ("binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic"):
        yield name, {"objective": name}, y > 0, x
    for name in ("count:poisson", "reg:gamma", "reg:tweedie"):
        yield name, {"objective": name}, positive, x
    for name in ("multi:softprob", "multi:softmax"):
        yield name, {"objective": name, "num_class": 3}, classes, x
    yield "survival:cox", {"objective": "survival:cox"}, positive, x
    yield "base_score", {"objective": "binary:logistic", "base_score": 0.3}, y > 0, x
    yield "dart", {"booster": "dart", "rate_drop": 0.3, "objective": "reg:squarederror"}, y, x
    yield "dart classes", {"booster": "dart", "rate_drop": 0.3, "num_class": 3,
                           "objective": "multi:softprob"}, classes, x
    yield "forest", {"num_parallel_tree": 4, "subsample": 0.5, "colsample_bynode": 0.6}, y, x
    yield "deep", {"max_depth": 12, "min_child_weight": 0}, y, x
    yield "stumps", {"max_depth": 1}, y, x
    yield "gblinear", {"booster": "gblinear"}, y, x
    yield "gblinear classes", {"booster": "gblinear", "num_class": 3,
                               "objective": "multi:softprob"}, classes, x
    c = np.column_stack([r.randint(0, 40, 400), r.randint(0, 3, 400), z[:, 0]]).astype(np.float32)
    y2 = (c[:, 0] % 7) - c[:, 1] + c[:, 2]
    yield "categories", {"tree_method": "hist", "max_cat_to_onehot": 1, "types": "ccq"}, y2, c
    yield "one-hot", {"tree_method": "hist", "max_cat_to_onehot": 99, "types": "ccq"}, y2, c


def odd_rows(booster, x):
    """Rows at the thresholds and next to them, and special numbers."""
    rows = [x[:100]]
    splits = [n for t in json.loads("[" + ",".join(booster.get_dump(dump_format="json")) + "]")
              for n in walk(t) if isinstance(n.get("split_condition"), (int, float))]
    r = np.random.RandomState(1)
    for n in splits[:60]:
        t = np.float32(n["split_condition"])
        for v in (t, np.nextafter(t, np.float32(-np.inf)), np.nextafter(t, np.float32(np.inf))):
            row = x[r.randint(len(x))].copy()
            row[int(n["split"][1:]) if n["split"].startswith("f") else 0] = v
            rows.append(row[None])
    negative_nan = np.array([0xffc00001], np.uint32).view(np.float32)[0]
    for v in (0.0, -0.0, np.nan, negative_nan, 1e-40, -1e-40, 3e38, -3e38):
        rows.append(np.full((1, x.shape[1]), v, np.float32))
    return np.concatenate(rows).astype(np.float32)


def walk(node):
    if "children" in node:
        yield node
        for child in node["children"]:
            yield from walk(child)


def xgboost_cases(args):
    import xgboost
    for name, params, y, x in trained():
        for suffix in ("json", "ubj"):
            yield (f"xgboost {name} {suffix}",
                   lambda p=params, y=y, x=x, s=suffix: run_xgboost(args, xgboost, p, y, x, s))


def run_xgboost(args, xgboost, params, y, x, suffix):
    params = dict({"seed": 0, "nthread": 1}, **params)
    if params.get("booster") != "gblinear":
        params.setdefault("max_depth", 4)
    types = params.pop("types", None)
    kw = {"feature_types": list(types), "enable_categorical": True} if types else {}
    booster = xgboost.train(params, xgboost.DMatrix(x, y.astype(np.float32), **kw), 15)
    if types:
        rows = x.copy()
        rows[:40, 0] = np.linspace(-3, 60, 40)
        rows[40:50, 1] = np.nan
    elif params.get("booster") == "gblinear":
        rows = x
    else:
        rows = odd_rows(booster, x)
    data = xgboost.DMatrix(rows, **kw)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model." + suffix)
        booster.save_model(path)
        got = predict(args, path, rows, args.levels)
        compare(got, booster.predict(data), 1e-6)
        if params.get("booster") == "gblinear":
            return
        compare(predict(args, path, rows, [["-O2", "-ntree-limit=6"]]),
                booster.predict(data, iteration_range=(0, 6)), 1e-6)
        margin = as_margin(path, folder)
        want = booster.predict(data, output_margin=True)
        compare(predict(args, margin, rows, args.levels), want, 0)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--cc", action="append", help="a C compiler; may be repeated (default: gcc)")
    p.add_argument("names", nargs="*", help="parts of names (default: all)")
    args = p.parse_args()
    args.cc = args.cc or ["gcc"]
    args.levels = [["-O0"], ["-O2"], ["-Os"]]
    args.levels += [["-w", "-ftrees=" + way] for way in WAYS]
    cases = []
    if os.path.isdir(args.models):
        cases += recorded(args)
    try:
        cases += xgboost_cases(args)
    except ImportError:
        print("python3-xgboost is not installed")
    cases = [c for c in cases if not args.names or any(n in c[0] for n in args.names)]
    if not cases:
        print("skipped: neither ../shared/models nor python3-xgboost")
        return 77
    return harness.run_cases(cases)


if __name__ == "__main__":
    sys.exit(main())
