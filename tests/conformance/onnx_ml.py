#!/usr/bin/python3
"""Models that scikit-learn trains, as operators of ai.onnx.ml, through mcc and a C compiler.

Each model is written with python3-onnx and its C must give what scikit-learn gives: the
same classes, numbers within 1e-5.  Where onnxruntime-node is installed (npm install
--ignore-scripts onnxruntime-node, in the folder that --node-modules names), the same
files run there too and must agree; without it that is left out with a word.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

import numpy as np

import harness

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))


def make_model(nodes, columns, outputs, path):
    from onnx import TensorProto, helper, save
    types = {"i": TensorProto.INT64, "f": TensorProto.FLOAT}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, columns])],
        [helper.make_tensor_value_info(n, types[t], shape) for n, t, shape in outputs])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15),
                                                 helper.make_opsetid("ai.onnx.ml", 3)],
                           ir_version=8), path)


def ml(op, inputs, outputs, **attributes):
    from onnx import helper
    return helper.make_node(op, inputs, outputs, domain="ai.onnx.ml", **attributes)


# ---- Models ----

def svm_classifier(x, y, kernel, probability):
    from sklearn.svm import SVC
    m = SVC(kernel=kernel, probability=probability, gamma=0.1, coef0=0.5, degree=2,
            random_state=0).fit(x, y)
    classes = len(m.classes_)
    # scikit-learn turns the signs of two classes round.
    sign = -1 if classes == 2 else 1
    attributes = {}
    if probability:
        attributes = {"prob_a": m.probA_.tolist(), "prob_b": m.probB_.tolist()}
    node = ml("SVMClassifier", ["x"], ["label", "scores"],
              classlabels_ints=[int(c) for c in m.classes_],
              coefficients=(sign * m.dual_coef_).flatten().tolist(),
              kernel_type={"rbf": "RBF", "linear": "LINEAR", "poly": "POLY",
                           "sigmoid": "SIGMOID"}[kernel],
              kernel_params=[0.1, 0.5, 2.0], post_transform="NONE",
              rho=(sign * m.intercept_).tolist(),
              support_vectors=m.support_vectors_.flatten().tolist(),
              vectors_per_class=[int(n) for n in m.n_support_], **attributes)
    width = classes if probability or classes == 2 else classes * (classes - 1) // 2
    outputs = [("label", "i", [1]), ("scores", "f", [1, width])]
    want = {"scores": m.predict_proba(x)} if probability else {}
    # Votes and probabilities need not name the same class.
    if not probability or classes == 2:
        want["label"] = m.predict(x) if not probability else None
    return node, outputs, {k: v for k, v in want.items() if v is not None}


def svm_regressor(x, y, kernel):
    from sklearn.svm import SVR
    m = SVR(kernel=kernel, gamma=0.1, coef0=0.5, degree=2).fit(x, y)
    node = ml("SVMRegressor", ["x"], ["y"], coefficients=m.dual_coef_.flatten().tolist(),
              kernel_type={"rbf": "RBF", "linear": "LINEAR", "poly": "POLY"}[kernel],
              kernel_params=[0.1, 0.5, 2.0], n_supports=len(m.support_vectors_),
              rho=m.intercept_.tolist(), support_vectors=m.support_vectors_.flatten().tolist())
    return node, [("y", "f", [1, 1])], {"y": m.predict(x)[:, None]}


def linear_classifier(x, y):
    from sklearn.linear_model import LogisticRegression
    m = LogisticRegression(max_iter=1000).fit(x, y)
    node = ml("LinearClassifier", ["x"], ["label", "scores"],
              classlabels_ints=[int(c) for c in m.classes_], multi_class=1,
              coefficients=m.coef_.flatten().tolist(), intercepts=m.intercept_.tolist(),
              post_transform="SOFTMAX" if len(m.classes_) > 2 else "LOGISTIC")
    outputs = [("label", "i", [1]), ("scores", "f", [1, len(m.classes_)])]
    return node, outputs, {"label": m.predict(x), "scores": m.predict_proba(x)}


def linear_regressor(x, y):
    from sklearn.linear_model import Ridge
    m = Ridge().fit(x, y)
    node = ml("LinearRegressor", ["x"], ["y"], coefficients=m.coef_.tolist(),
              intercepts=[float(m.intercept_)])
    return node, [("y", "f", [1, 1])], {"y": m.predict(x)[:, None]}


def scaler(x, y):
    from sklearn.preprocessing import StandardScaler
    m = StandardScaler().fit(x)
    node = ml("Scaler", ["x"], ["y"], offset=m.mean_.tolist(), scale=(1 / m.scale_).tolist())
    return node, [("y", "f", [1, x.shape[1]])], {"y": m.transform(x)}


def normalizer(x, y, norm):
    from sklearn.preprocessing import Normalizer
    m = Normalizer({"L1": "l1", "L2": "l2", "MAX": "max"}[norm]).fit(x)
    node = ml("Normalizer", ["x"], ["y"], norm=norm)
    return node, [("y", "f", [1, x.shape[1]])], {"y": m.transform(x)}


def binarizer(x, y):
    node = ml("Binarizer", ["x"], ["y"], threshold=1.5)
    return node, [("y", "f", [1, x.shape[1]])], {"y": (x > 1.5).astype(np.float32)}


def imputer(x, y):
    node = ml("Imputer", ["x"], ["y"], imputed_value_floats=[7.0],
              replaced_value_float=float("nan"))
    return node, [("y", "f", [1, x.shape[1]])], {"y": np.nan_to_num(x, nan=7.0)}


def forest(x, y, depth):
    sys.path.insert(0, os.path.join(HERE, "../bench"))
    from trees import float_below
    from sklearn.ensemble import RandomForestClassifier
    m = RandomForestClassifier(15, max_depth=depth, random_state=0).fit(x, y)
    a = {}

    def add(**values):
        for k, v in values.items():
            a.setdefault(k, []).append(v)
    for t, e in enumerate(m.estimators_):
        for i in range(e.tree_.node_count):
            leaf = e.tree_.children_left[i] < 0
            add(nodes_treeids=t, nodes_nodeids=i,
                nodes_featureids=0 if leaf else int(e.tree_.feature[i]),
                nodes_values=0.0 if leaf else float(float_below(e.tree_.threshold[i])),
                nodes_modes="LEAF" if leaf else "BRANCH_LEQ",
                nodes_truenodeids=max(int(e.tree_.children_left[i]), 0),
                nodes_falsenodeids=max(int(e.tree_.children_right[i]), 0))
            share = e.tree_.value[i][0] / e.tree_.value[i][0].sum() / len(m.estimators_)
            for k, v in enumerate(share) if leaf else ():
                add(class_treeids=t, class_nodeids=i, class_ids=k, class_weights=float(v))
    node = ml("TreeEnsembleClassifier", ["x"], ["label", "scores"],
              classlabels_int64s=[int(c) for c in m.classes_], post_transform="NONE", **a)
    outputs = [("label", "i", [1]), ("scores", "f", [1, len(m.classes_)])]
    p = m.predict_proba(x)
    top = np.sort(p, axis=1)
    # Shares that are nearly equal may fall either way in float.  Of two classes ONNX Runtime
    # takes the second as soon as its share is positive, and so does mcc.
    label = np.where(top[:, -1] - top[:, -2] > 1e-6, m.predict(x), -1)
    if len(m.classes_) == 2:
        label = np.where(p[:, 1] > 0, 1, -1)
    return node, outputs, {"label": label, "scores": p}


def cases():
    from sklearn import datasets
    iris = datasets.load_iris(return_X_y=True)
    cancer = datasets.load_breast_cancer(return_X_y=True)
    cancer = (cancer[0] / cancer[0].max(axis=0), cancer[1])
    diabetes = datasets.load_diabetes(return_X_y=True)
    holes = iris[0].copy()
    holes[::3, 1] = np.nan
    for kernel in ("linear", "rbf", "poly"):
        for probability in (False, True):
            name = f"{kernel}{' probabilities' if probability else ''}"
            yield f"SVMClassifier 3 {name}", iris, svm_classifier, (kernel, probability)
            yield f"SVMClassifier 2 {name}", cancer, svm_classifier, (kernel, probability)
        yield f"SVMRegressor {kernel}", diabetes, svm_regressor, (kernel,)
    yield "LinearClassifier 3", iris, linear_classifier, ()
    yield "LinearClassifier 2", cancer, linear_classifier, ()
    yield "LinearRegressor", diabetes, linear_regressor, ()
    yield "Scaler", iris, scaler, ()
    for norm in ("L1", "L2", "MAX"):
        yield f"Normalizer {norm}", iris, normalizer, (norm,)
    yield "Binarizer", iris, binarizer, ()
    yield "Imputer", (holes, iris[1]), imputer, ()
    for depth in (3, 12):
        yield f"TreeEnsembleClassifier 3, {depth} deep", iris, forest, (depth,)
        yield f"TreeEnsembleClassifier 2, {depth} deep", cancer, forest, (depth,)


# ---- Running ----

NODE = """
const ort = require(process.argv[2] + '/onnxruntime-node');
const fs = require('fs');
(async () => {
	const s = await ort.InferenceSession.create(process.argv[3]);
	const x = JSON.parse(fs.readFileSync(process.argv[4]));
	const out = [];
	for (const row of x) {
		const data = Float32Array.from(row, v => v === null ? NaN : v);
		const r = await s.run({x: new ort.Tensor('float32', data, [1, row.length])});
		const o = {};
		for (const n of s.outputNames) o[n] = Array.from(r[n].data, Number);
		out.push(o);
	}
	console.log(JSON.stringify(out));
})();
"""


def run_node(args, path, x, folder):
    """The outputs of onnxruntime-node by name, or None."""
    if not args.node_modules:
        return None
    rows = os.path.join(folder, "rows.json")
    script = os.path.join(folder, "run.js")
    with open(rows, "w") as f:
        json.dump([[None if np.isnan(v) else float(v) for v in r] for r in x], f)
    with open(script, "w") as f:
        f.write(NODE)
    done = subprocess.run(["node", script, os.path.abspath(args.node_modules), path, rows],
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise harness.Failure("onnxruntime-node: " + done.stderr.strip()[-300:])
    rows = json.loads(done.stdout.splitlines()[-1])
    return {k: np.array([r[k] for r in rows]) for k in rows[0]}


def check(name, got, want, who, exact, tolerance=1e-5):
    want = np.asarray(want, np.float64).reshape(len(got), -1)
    got = np.asarray(got, np.float64).reshape(len(got), -1)
    wrong = ~np.isclose(got, want, rtol=tolerance, atol=tolerance)
    if exact:  # -1: either is right
        wrong = (got != want) & (want != -1)
    if wrong.any():
        k = int(np.argmax(wrong.any(axis=1)))
        raise harness.Failure(f"{name}: row {k} is {got[k]}, {who} has {want[k]}")


def run_case(args, name, data, make, more):
    # Sums of hundreds of products lose digits in float; libsvm's rounds end early.
    tolerance = 1e-4 if name.startswith("SVM") else 1e-5
    x = data[0].astype(np.float32)[:150]
    node, outputs, want = make(data[0].astype(np.float32), data[1], *more)
    with harness.scratch_folder() as folder:
        path = os.path.join(folder, "m.onnx")
        make_model([node], x.shape[1], outputs, path)
        source, header = harness.compile_model(args.mcc, path, folder)
        library = harness.build_shared(source, args.cc, ["-std=c99", "-O1", "-w"], folder)
        interface = harness.Interface(header)
        rows = [harness.call(library, interface, [r[None]]) for r in x]
        got = {o[0]: np.array([np.array(r[i]).reshape(-1) for r in rows])
               for i, o in enumerate(outputs)}
        # scikit-learn's rows are the first of all.
        for k, v in want.items():
            check(k, got[k], v[:150], "scikit-learn", k == "label", tolerance)
        other = run_node(args, path, x, folder)
        for k, v in (other or {}).items():
            check(k, got[k], v, "onnxruntime", k == "label", tolerance)


# ---- Strings ----

COLOURS = ["red", "green", "blue", "pink"]
NUMBERS = [10, 20, 30]


def strings_model(path):
    """Every operator that takes or makes strings; (names of outputs)."""
    from onnx import TensorProto, helper, save
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["ab"], axis=1),
        ml("OneHotEncoder", ["ab"], ["hot"], cats_strings=COLOURS[:3], zeros=1),
        ml("LabelEncoder", ["a"], ["code"], keys_strings=["green", "red"],
           values_floats=[1.5, 2.5], default_float=-7.0),
        ml("CategoryMapper", ["b"], ["number"], cats_strings=["blue", "red"],
           cats_int64s=[10, 20], default_int64=99),
        ml("CategoryMapper", ["n"], ["word"], cats_strings=["ten", "twenty"],
           cats_int64s=[10, 20], default_string="other"),
        ml("LabelEncoder", ["word"], ["back"], keys_strings=["twenty", "other", "never"],
           values_int64s=[2, 3, 4], default_int64=0),
        ml("LabelEncoder", ["n"], ["text"], keys_int64s=[10, 20, 30],
           values_strings=["even", "odd", "even"], default_string="none"),
        helper.make_node("Identity", ["a"], ["copy"])]
    text, number, real = TensorProto.STRING, TensorProto.INT64, TensorProto.FLOAT
    shapes = [("hot", real, [1, 2, 3]), ("code", real, [1, 1]), ("number", number, [1, 1]),
              ("word", text, [1, 1]), ("back", number, [1, 1]), ("text", text, [1, 1]),
              ("copy", text, [1, 1])]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [info("a", text, [1, 1]), info("b", text, [1, 1]), info("n", number, [1, 1])],
        [info(*o) for o in shapes])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15),
                                                 helper.make_opsetid("ai.onnx.ml", 2)],
                           ir_version=8), path)


def strings_of(a, b, n):
    """What the specification says of a row."""
    row = [float(v == c) for v in (a, b) for c in COLOURS[:3]]
    word = {10: "ten", 20: "twenty"}.get(n, "other")
    return row + [{"green": 1.5, "red": 2.5}.get(a, -7.0), {"blue": 10, "red": 20}.get(b, 99),
                  word, {"twenty": 2, "other": 3}.get(word, 0),
                  {10: "even", 20: "odd", 30: "even"}.get(n, "none"),
                  a if a in COLOURS[:3] else ""]


STRINGS_NODE = """
const ort = require(process.argv[2] + '/onnxruntime-node');
(async () => {
	const s = await ort.InferenceSession.create(process.argv[3]);
	for (const [a, b, n] of JSON.parse(process.argv[4])) {
		const r = await s.run({a: new ort.Tensor('string', [a], [1, 1]),
			b: new ort.Tensor('string', [b], [1, 1]),
			n: new ort.Tensor('int64', BigInt64Array.from([BigInt(n)]), [1, 1])});
		console.log(s.outputNames.map(k => Array.from(r[k].data, String).join()).join());
	}
})();
"""


def run_table(args, path, lines, folder):
    """The rows that mcc-run gives for a CSV file."""
    rows = os.path.join(folder, "rows.csv")
    with open(rows, "w") as f:
        f.write("\n".join(lines) + "\n")
    done = subprocess.run([os.path.join(os.path.dirname(args.mcc), "mcc-run"), path, "-i", rows],
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise harness.Failure(done.stderr.strip()[-300:])
    return [line.split(",") for line in done.stdout.splitlines()[1:]]


def same_cells(got, want):
    return len(got) == len(want) and all(
        str(g) == str(w) or (str(w) and g and not str(w)[0].isalpha() and float(g) == float(w))
        for g, w in zip(got, want))


def run_strings(args):
    rows = [(a, b, n) for a in COLOURS for b in COLOURS for n in NUMBERS + [0]]
    with harness.scratch_folder() as folder:
        path = os.path.join(folder, "m.onnx")
        strings_model(path)
        got = run_table(args, path, ["a,b,n"] + [f"{a},{b},{n}" for a, b, n in rows], folder)
        other = None
        if args.node_modules:
            script = os.path.join(folder, "run.js")
            with open(script, "w") as f:
                f.write(STRINGS_NODE)
            done = subprocess.run(["node", script, os.path.abspath(args.node_modules), path,
                                   json.dumps(rows)], capture_output=True, text=True)
            if done.returncode != 0:
                raise harness.Failure("onnxruntime-node: " + done.stderr.strip()[-300:])
            other = [line.split(",") for line in done.stdout.splitlines()]
        for i, row in enumerate(rows):
            if not same_cells(got[i], strings_of(*row)):
                raise harness.Failure(f"{row}: {got[i]}, not {strings_of(*row)}")
            # A word that no operator knows has no number, so a copy of it is missing.
            if other and not same_cells(got[i][:-1], other[i][:-1]):
                raise harness.Failure(f"{row}: {got[i]}, onnxruntime has {other[i]}")


def run_map(args):
    """DictVectorizer: a map from outside is a row of its keys."""
    from onnx import TensorProto, ValueInfoProto, helper, save
    info = ValueInfoProto()
    info.name = "d"
    info.type.map_type.key_type = TensorProto.STRING
    info.type.map_type.value_type.tensor_type.elem_type = TensorProto.FLOAT
    nodes = [ml("DictVectorizer", ["d"], ["v"], string_vocabulary=["height", "age", "two words"]),
             ml("Scaler", ["v"], ["y"], offset=[1.0, 2.0, 3.0], scale=[2.0, 4.0, 8.0])]
    graph = helper.make_graph(nodes, "g", [info], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])])
    with harness.scratch_folder() as folder:
        path = os.path.join(folder, "m.onnx")
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15),
                                                     helper.make_opsetid("ai.onnx.ml", 2)],
                               ir_version=8), path)
        got = run_table(args, path, ["age,height,two words", "1,2,3", "0.5,0,-1"], folder)
        want = [[2, -4, 0], [-2, -6, -32]]
        if not all(same_cells(g, w) for g, w in zip(got, want)):
            raise harness.Failure(f"{got}, not {want}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--cc", default="cc")
    p.add_argument("--node-modules", help="the folder node_modules with onnxruntime-node in it")
    p.add_argument("names", nargs="*", help="parts of names (default: all)")
    args = p.parse_args()
    try:
        import onnx  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as e:
        print(f"skipped: {e}")
        return 77
    if args.node_modules and not shutil.which("node"):
        print("onnxruntime-node left out: no node")
        args.node_modules = None
    elif not args.node_modules:
        print("onnxruntime-node left out: no --node-modules")
    done = failed = 0
    for name, data, make, more in cases():
        if args.names and not any(n in name for n in args.names):
            continue
        done += 1
        try:
            run_case(args, name, data, make, more)
        except (harness.Failure, harness.Unsupported) as e:
            failed += 1
            print(f"{name}: FAILED: {e}", flush=True)
    for name, run in (("strings", run_strings), ("DictVectorizer", run_map)):
        if args.names and not any(n in name for n in args.names):
            continue
        done += 1
        try:
            run(args)
        except (harness.Failure, harness.Unsupported) as e:
            failed += 1
            print(f"{name}: FAILED: {e}", flush=True)
    print(f"{done - failed} of {done} pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
