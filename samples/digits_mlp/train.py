#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Train the fully connected digit classifier and write model.onnx.

    image [1,1,8,8] -> flatten [1,64] -> fc1 MatMul + Add, 16 units -> relu1
                    -> fc2 MatMul + Add [1,10] -> softmax

Writes model.onnx, test_x.npy and test_y.npy next to this file.  The option
--validate trains on 80 % of the training part only and prints the accuracy
on the rest: for choosing the settings without looking at the test part.  It
writes nothing.
"""
import os
import sys

import numpy as np
from onnx import helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import common                                                # noqa: E402

SEED = 1
EPOCHS = 150
SHIFT = 0.03
HIDDEN = 16


def forward(p, x):
    flat = x.reshape(len(x), 64)
    hidden = np.maximum(flat @ p["fc1_weight"] + p["fc1_bias"], 0)
    logits = hidden @ p["fc2_weight"] + p["fc2_bias"]
    return common.softmax(logits), (flat, hidden)


def gradients(p, x, y):
    prob, (flat, hidden) = forward(p, x)
    rows = np.arange(len(y))
    loss = -np.mean(np.log(prob[rows, y] + 1e-30))
    dz = prob.copy()
    dz[rows, y] -= 1
    dz /= len(y)
    dh = dz @ p["fc2_weight"].T * (hidden > 0)
    return loss, {"fc1_weight": flat.T @ dh, "fc1_bias": dh.sum(axis=0),
                  "fc2_weight": hidden.T @ dz, "fc2_bias": dz.sum(axis=0)}


def fit(x, y, seed):
    rng = np.random.RandomState(seed)
    p = {}
    for name, shape in (("fc1", (64, HIDDEN)), ("fc2", (HIDDEN, 10))):
        p[name + "_weight"] = (rng.standard_normal(shape)
                               * np.sqrt(2 / shape[0]))
        p[name + "_bias"] = np.zeros(shape[1])
    common.train(p, gradients, x, y, seed, EPOCHS, SHIFT)
    return p


def main():
    train_x, train_y, test_x, test_y = common.digits()
    if "--validate" in sys.argv:
        cut = len(train_x) * 4 // 5
        for seed in range(1, 4):
            p = fit(train_x[:cut], train_y[:cut], seed)
            prob, _ = forward(p, train_x[cut:])
            print("seed %d: validation accuracy %.4f"
                  % (seed, common.accuracy(prob, train_y[cut:])))
        return
    p = fit(train_x, train_y, SEED)
    train_prob, _ = forward(p, train_x)
    test_prob, _ = forward(p, test_x)
    print("parameters     %d" % sum(v.size for v in p.values()))
    print("train accuracy %.4f of %d" % (common.accuracy(train_prob, train_y),
                                         len(train_y)))
    print("test accuracy  %.4f of %d" % (common.accuracy(test_prob, test_y),
                                         len(test_y)))
    nodes = [
        helper.make_node("Flatten", ["image"], ["flatten_out"], "flatten",
                         axis=1),
        helper.make_node("MatMul", ["flatten_out", "fc1_weight"],
                         ["fc1_product"], "fc1"),
        helper.make_node("Add", ["fc1_product", "fc1_bias"], ["fc1_out"],
                         "fc1_add"),
        helper.make_node("Relu", ["fc1_out"], ["relu1_out"], "relu1"),
        helper.make_node("MatMul", ["relu1_out", "fc2_weight"],
                         ["fc2_product"], "fc2"),
        helper.make_node("Add", ["fc2_product", "fc2_bias"], ["logits"],
                         "fc2_add"),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax",
                         axis=1),
    ]
    common.store(HERE, "digits_mlp", nodes, p, test_x, test_y, test_prob)


if __name__ == "__main__":
    main()
