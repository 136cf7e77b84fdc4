#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Train the convolutional digit classifier and write model.onnx.

    image [1,1,8,8] -> conv1 3x3, 8 channels  -> relu1 -> pool1 2x2
                    -> conv2 3x3, 24 channels -> relu2 -> pool2 2x2
                    -> flatten [1,96] -> fc [1,10] -> softmax

Writes model.onnx, test_x.npy, test_y.npy and image.h next to this file.
The option --validate trains on 80 % of the training part only and prints the
accuracy on the rest: for choosing the settings without looking at the test
part.  It writes nothing.
"""
import os
import sys

import numpy as np
from onnx import helper

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import common                                                # noqa: E402

SEED = 1
EPOCHS = 60
SHIFT = 0.1


def patches(x):
    """[N,C,H,W] -> [N*H*W, C*9]: the 3x3 surroundings of every pixel."""
    n, c, h, w = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    view = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return view.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * 9)


def conv(x, weight, bias):
    n, _, h, w = x.shape
    columns = patches(x)
    y = columns @ weight.reshape(len(weight), -1).T + bias
    return y.reshape(n, h, w, -1).transpose(0, 3, 1, 2), columns


def conv_gradients(dy, columns, weight, need_dx):
    """Gradients of conv() by x (or None), weight and bias."""
    n, m, h, w = dy.shape
    flat = dy.transpose(0, 2, 3, 1).reshape(-1, m)
    dx = None
    if need_dx:     # a convolution of dy with the kernel turned by 180 degrees
        turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        dx, _ = conv(dy, turned, 0.0)
    return dx, (flat.T @ columns).reshape(weight.shape), flat.sum(axis=0)


def pool(x):
    """2x2 maximum; also returns which of the four values it was."""
    n, c, h, w = x.shape
    quads = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    quads = quads.reshape(n, c, h // 2, w // 2, 4)
    return quads.max(axis=4), quads.argmax(axis=4)


def pool_gradient(dy, which):
    n, c, h, w = dy.shape
    quads = (which[..., None] == np.arange(4)) * dy[..., None]
    quads = quads.reshape(n, c, h, w, 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return quads.reshape(n, c, 2 * h, 2 * w)


def forward(p, x):
    a1, columns1 = conv(x, p["conv1_weight"], p["conv1_bias"])
    q1, which1 = pool(np.maximum(a1, 0))
    a2, columns2 = conv(q1, p["conv2_weight"], p["conv2_bias"])
    q2, which2 = pool(np.maximum(a2, 0))
    flat = q2.reshape(len(x), -1)
    logits = flat @ p["fc_weight"].T + p["fc_bias"]
    return common.softmax(logits), (columns1, a1, which1, columns2, a2,
                                    which2, q2.shape, flat)


def gradients(p, x, y):
    prob, (columns1, a1, which1, columns2, a2, which2, shape, flat) = \
        forward(p, x)
    rows = np.arange(len(y))
    loss = -np.mean(np.log(prob[rows, y] + 1e-30))
    dz = prob.copy()
    dz[rows, y] -= 1
    dz /= len(y)
    g = {"fc_weight": dz.T @ flat, "fc_bias": dz.sum(axis=0)}
    dq2 = (dz @ p["fc_weight"]).reshape(shape)
    da2 = pool_gradient(dq2, which2) * (a2 > 0)
    dq1, g["conv2_weight"], g["conv2_bias"] = conv_gradients(
        da2, columns2, p["conv2_weight"], True)
    da1 = pool_gradient(dq1, which1) * (a1 > 0)
    _, g["conv1_weight"], g["conv1_bias"] = conv_gradients(
        da1, columns1, p["conv1_weight"], False)
    return loss, g


def fit(x, y, seed):
    rng = np.random.RandomState(seed)
    p = {}
    for name, shape in (("conv1", (8, 1, 3, 3)), ("conv2", (24, 8, 3, 3)),
                        ("fc", (10, 96))):
        fan_in = np.prod(shape[1:])
        p[name + "_weight"] = rng.standard_normal(shape) * np.sqrt(2 / fan_in)
        p[name + "_bias"] = np.zeros(shape[0])
    common.train(p, gradients, x, y, seed, EPOCHS, SHIFT)
    return p


def write_header(path, index, image, label, expected):
    """One test image for main.c; expected is from this file's forward()."""
    def floats(values, columns, form):
        text = [form % v for v in values.ravel()]
        return ",\n".join("    " + ", ".join(text[i:i + columns])
                          for i in range(0, len(text), columns))
    with open(path, "w") as out:
        out.write("""/* Written by train.py: image %d of test_x.npy. */
#ifndef SAMPLES_DIGITS_IMAGE_H
#define SAMPLES_DIGITS_IMAGE_H

static const int image_label = %d;

/* 8 rows of 8 pixels, 0 is background, 1 is ink. */
static const float image_pixels[64] = {
%s
};

/* The ten probabilities, computed by train.py in double precision. */
static const float image_expected[10] = {
%s
};

#endif
""" % (index, label, floats(image, 8, "%.4ff"), floats(expected, 2, "%.9ef")))


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

    def conv_node(name, source):
        return helper.make_node(
            "Conv", [source, name + "_weight", name + "_bias"],
            [name + "_out"], name, kernel_shape=[3, 3], strides=[1, 1],
            pads=[1, 1, 1, 1], dilations=[1, 1], group=1)

    def relu_node(name, source):
        return helper.make_node("Relu", [source], [name + "_out"], name)

    def pool_node(name, source):
        return helper.make_node("MaxPool", [source], [name + "_out"], name,
                                kernel_shape=[2, 2], strides=[2, 2])

    nodes = [
        conv_node("conv1", "image"),
        relu_node("relu1", "conv1_out"),
        pool_node("pool1", "relu1_out"),
        conv_node("conv2", "pool1_out"),
        relu_node("relu2", "conv2_out"),
        pool_node("pool2", "relu2_out"),
        helper.make_node("Flatten", ["pool2_out"], ["flatten_out"], "flatten",
                         axis=1),
        helper.make_node("Gemm", ["flatten_out", "fc_weight", "fc_bias"],
                         ["logits"], "fc", transB=1),
        helper.make_node("Softmax", ["logits"], ["probabilities"], "softmax",
                         axis=1),
    ]
    common.store(HERE, "digits", nodes, p, test_x, test_y, test_prob)
    index = int(np.flatnonzero(test_prob.argmax(axis=1) == test_y)[0])
    common.save_calibration(HERE, train_x, train_y)
    write_header(os.path.join(HERE, "image.h"), index, test_x[index],
                 test_y[index], test_prob[index])


if __name__ == "__main__":
    main()
