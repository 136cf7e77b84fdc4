#!/usr/bin/python3
"""Compares an ONNX model with onnxruntime-node on random inputs: any model, no recording.

    npm install --ignore-scripts onnxruntime-node
    tests/conformance/onnx_runtime.py --node-modules node_modules MODEL [MCC OPTIONS ...]

The options are those of the front end, such as -Dbatch=1 or -finput-value=sr:16000.  Each
output must agree within rtol, and atol relative to its largest element where that is above 1.
Needs python3-numpy; the model runs in mcc-run.
"""
import argparse
import json
import os
import re
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import harness

TYPES = {"f32": "float32", "f64": "float64", "i8": "int8", "u8": "uint8", "i16": "int16",
         "u16": "uint16", "i32": "int32", "u32": "uint32", "i64": "int64", "u64": "uint64",
         "bool": "bool"}

NODE = """
const ort = require(process.argv[2] + '/onnxruntime-node');
const fs = require('fs');
(async () => {
	const s = await ort.InferenceSession.create(process.argv[3]);
	const given = JSON.parse(fs.readFileSync(process.argv[4]));
	const feeds = {};
	for (const [name, x] of Object.entries(given)) {
		const wide = x.type === 'int64' || x.type === 'uint64';
		const data = x.data.map(wide ? BigInt : v => v);
		feeds[name] = new ort.Tensor(x.type, data, x.dims);
	}
	const r = await s.run(feeds);
	const out = {};
	for (const n of s.outputNames) out[n] = Array.from(r[n].data, Number);
	fs.writeFileSync(process.argv[5], JSON.stringify(out));
})();
"""


def random_input(rng, dtype, shape):
    if dtype.startswith("float"):
        return rng.uniform(-1, 1, shape).astype(dtype)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.integers(0, 2, shape).astype(dtype)


def describe(header, role):
    """(name in the model, numpy type, shape) of the tensors that a header describes."""
    # Long lines go on in the next.
    text = re.sub(r"\n \*   (?!(?:input|output|state) )", " ", open(header).read())
    for line in re.findall(rf"^ \*   {role} +(.*)$", text, re.M):
        name, dtype, dims = re.match(r"(\S+): (\w+)(?:\[([\d,]*)\])?", line).groups()
        other = re.search(r", '(.*)' in the model", line)
        yield (other.group(1) if other else name, TYPES[dtype],
               [int(d) for d in dims.split(",")] if dims else [])


def fixed_inputs(options):
    """What -finput-value gives; as the type that such inputs mostly have."""
    for o in options:
        if o.startswith("-finput-value="):
            name, values = o.split("=", 1)[1].rsplit(":", 1)
            yield name, [int(float(v)) for v in values.split(",")]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--node-modules", required=True)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--rtol", type=float, default=1e-4)
    p.add_argument("--atol", type=float, default=1e-5)
    p.add_argument("model")
    args, options = p.parse_known_args()
    rng = np.random.default_rng(args.seed)
    failed = 0
    with harness.scratch_folder() as folder:
        _, header = harness.compile_model(args.mcc, args.model, folder, options)
        feeds, inputs = {}, []
        for name, dtype, shape in describe(header, "input"):
            x = random_input(rng, dtype, shape)
            path = os.path.join(folder, f"in{len(inputs)}.npy")
            np.save(path, x)
            inputs += ["-i", f"{name}={path}"]
            feeds[name] = {"type": dtype, "dims": shape, "data": x.flatten().tolist()}
        for name, values in fixed_inputs(options):
            feeds[name] = {"type": "int64", "dims": [len(values)] if len(values) > 1 else [],
                           "data": values}
        paths = [os.path.join(folder, n) for n in ("feeds.json", "run.js", "out.json", "out.npz")]
        with open(paths[0], "w") as f:
            json.dump(feeds, f)
        with open(paths[1], "w") as f:
            f.write(NODE)
        done = subprocess.run(["node", paths[1], os.path.abspath(args.node_modules), args.model,
                               paths[0], paths[2]], capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            sys.exit("onnxruntime-node: " + done.stderr.strip()[-500:])
        with open(paths[2]) as f:
            want = json.load(f)
        runner = os.path.join(os.path.dirname(args.mcc), "mcc-run")
        done = subprocess.run([runner, *options, args.model, *inputs, "-o", paths[3]],
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            sys.exit("mcc-run: " + done.stderr.strip()[-500:])
        with np.load(paths[3]) as got:
            for name, values in want.items():
                x = np.array([np.nan if v is None else v for v in values])
                y = got[name].astype(np.float64).reshape(-1)
                if x.size != y.size:
                    sys.exit(f"{name}: {y.size} elements, ONNX Runtime has {x.size}")
                largest = float(np.max(np.abs(x), initial=0, where=np.isfinite(x)))
                bad = ~np.isclose(y, x, rtol=args.rtol, atol=args.atol * max(1.0, largest),
                                  equal_nan=True)
                print(f"{'FAIL' if bad.any() else 'ok':4} {name} {got[name].shape}: largest "
                      f"difference {np.nanmax(np.abs(y - x), initial=0):.3g} of {largest:.3g}, "
                      f"{int(bad.sum())} outside")
                failed += bool(bad.any())
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
