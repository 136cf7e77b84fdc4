# SPDX-License-Identifier: Apache-2.0
"""What the training scripts of the samples share: data, optimiser, ONNX file.

Needs python3-numpy, python3-sklearn and python3-onnx.

Reproducibility: all random numbers come from numpy's RandomState, whose
stream is frozen; training runs in double precision; and store() rounds every
trained weight to a multiple of 2**-20.  The last bits of a sum, which depend
on the BLAS library and the processor, therefore do not reach the model file.
"""
import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits

TEST_SHARE = 0.2        # of the 1797 images: 360 are never trained on
SPLIT_SEED = 20
GRID = 2.0 ** 20


def digits():
    """Return train_x, train_y, test_x, test_y; x is [N,1,8,8] in 0..1."""
    data = load_digits()
    x = data.images.reshape(-1, 1, 8, 8) / 16.0
    y = data.target.astype(np.int64)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(x))
    test_count = int(np.ceil(TEST_SHARE * len(x)))
    test, train = order[:test_count], order[test_count:]
    return x[train], y[train], x[test], y[test]


def save_calibration(folder, train_x, train_y, count=256):
    """Write some of the training images, for the ranges of a quantised network."""
    np.save(os.path.join(folder, "calib_x.npy"), train_x[:count].astype(np.float32))
    np.save(os.path.join(folder, "calib_y.npy"), train_y[:count])


def shifted(x, rng, share):
    """Move each image by -1, 0 or 1 pixels; share is the part for each sign.

    Both directions are chosen independently.
    """
    odds = [share, 1 - 2 * share, share]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    result = np.empty_like(x)
    for i, (dy, dx) in enumerate(rng.choice(3, (len(x), 2), p=odds)):
        result[i] = padded[i, :, dy:dy + 8, dx:dx + 8]
    return result


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def accuracy(probabilities, y):
    return float(np.mean(probabilities.argmax(axis=1) == y))


def train(params, gradients, x, y, seed, epochs, shift, batch=32,
          rate=4e-3, decay=0.2):
    """Minimise the cross entropy with Adam; the rate falls as a half cosine.

    params is a dict of arrays, changed in place; gradients(params, x, y)
    returns the loss and a dict of the same keys; shift is shifted()'s share.
    """
    rng = np.random.RandomState(seed)
    mean = {k: np.zeros_like(v) for k, v in params.items()}
    square = {k: np.zeros_like(v) for k, v in params.items()}
    step, steps = 0, epochs * (len(x) // batch)
    for epoch in range(epochs):
        order = rng.permutation(len(x))
        moved = shifted(x, rng, shift)
        total = 0.0
        for start in range(0, len(x) - batch + 1, batch):
            pick = order[start:start + batch]
            loss, grad = gradients(params, moved[pick], y[pick])
            total += loss * batch
            now = rate * 0.5 * (1 + np.cos(np.pi * step / steps))
            step += 1
            for k, g in grad.items():
                mean[k] = 0.9 * mean[k] + 0.1 * g
                square[k] = 0.999 * square[k] + 0.001 * g * g
                m = mean[k] / (1 - 0.9 ** step)
                s = square[k] / (1 - 0.999 ** step)
                params[k] -= now * (m / (np.sqrt(s) + 1e-8)
                                    + decay * params[k])
        if epoch % 10 == 9:
            print("epoch %3d  loss %.4f" % (epoch + 1, total / len(x)))
    for k in params:        # see the module's comment
        params[k][...] = np.round(params[k] * GRID) / GRID


def store(folder, name, nodes, initializers, test_x, test_y, reference):
    """Write model.onnx, test_x.npy and test_y.npy; compare expected.npy."""
    graph = helper.make_graph(
        nodes, name,
        [helper.make_tensor_value_info("image", TensorProto.FLOAT,
                                       [1, 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT,
                                       [1, 10])],
        [numpy_helper.from_array(v.astype(np.float32)
                                 if v.dtype == np.float64 else v, k)
         for k, v in initializers.items()])
    model = helper.make_model(
        graph, producer_name="samples/%s/train.py" % name, ir_version=7,
        opset_imports=[helper.make_opsetid("", 13)])
    onnx.checker.check_model(model, full_check=True)
    with open(os.path.join(folder, "model.onnx"), "wb") as out:
        out.write(model.SerializeToString())
    np.save(os.path.join(folder, "test_x.npy"), test_x.astype(np.float32))
    np.save(os.path.join(folder, "test_y.npy"), test_y)

    expected = os.path.join(folder, "expected.npy")
    if not os.path.exists(expected):
        print("expected.npy is missing: run expected.js")
        return
    worst = np.abs(np.load(expected) - reference).max()
    print("expected.npy (onnxruntime) differs by at most %.1e" % worst)
    if worst > 1e-5:
        print("expected.npy belongs to another model: run expected.js")
