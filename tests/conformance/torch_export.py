"""Networks with random weights that torch exports to ONNX, compiled by mcc,
against what torch itself computes: models that nobody tuned mcc for.

Usage: torch_export.py MCC MCC_RUN [--opset=N,N...] [--dynamic] [--no-fold] [--engines] [NAME ...]

Needs python3-torch and python3-onnx (exit status 77 without them); not part of
the registered tests, because torch is not among the packages of bootstrap.
"""
import argparse
import os
import sys
import warnings

try:
    import numpy as np
    import torch
    from torch import nn
    import torch.nn.functional as F
    import onnx  # noqa: F401 (the exporter needs it)
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

import harness

warnings.filterwarnings("ignore")


class Fn(nn.Module):
    def __init__(self, f, *modules):
        super().__init__()
        self.f, self.m = f, nn.ModuleList(modules)

    def forward(self, *x):
        return self.f(*self.m, *x)


def block(i, o, s=1, g=1):
    return nn.Sequential(nn.Conv2d(i, o, 3, s, 1, groups=g, bias=False), nn.BatchNorm2d(o))


def acts(x):
    return torch.cat([F.gelu(x), F.silu(x), F.mish(x), F.hardswish(x), F.softplus(x), F.elu(x),
                      F.selu(x), F.celu(x, 1.5), F.leaky_relu(x), F.hardsigmoid(x), F.hardtanh(x),
                      F.relu6(x), F.softsign(x), F.tanhshrink(x), F.hardshrink(x), F.softshrink(x),
                      F.logsigmoid(x), F.threshold(x, 0.1, 20.0), torch.erf(x)], 1) * F.glu(x, 1).sum()


def attention(m, x):
    return m(x, x, x)[0]


def unet(down, middle, up, last, x):
    a = F.relu(down(x))
    b = F.relu(middle(F.max_pool2d(a, 2)))
    c = torch.cat([up(b), a], 1)
    d = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=False)
    e = F.interpolate(b, scale_factor=2, mode="bilinear", align_corners=True)
    f = F.interpolate(b, scale_factor=2, mode="nearest")
    g = F.interpolate(b, size=(16, 16), mode="bicubic", align_corners=False)
    return last(torch.cat([c, d, e, f, g], 1))


def residual(a, b, c, x):
    y = F.relu(a(x))
    return F.relu(c(x) + b(y)).mean((2, 3))


def r(*shape):
    return torch.randn(*shape)


def ints(high, *shape):
    return torch.randint(0, high, shape)


def i8conv(x):
    return (x * 20).to(torch.int8).float() + (x.half().float()) + x.double().exp().float()


CASES = {
    "cnn": (nn.Sequential(block(3, 8), nn.ReLU(), nn.MaxPool2d(3, 2, 1, ceil_mode=True),
                          block(8, 12, 2), nn.ReLU(), nn.AvgPool2d(3, 2, 1), nn.Flatten(),
                          nn.Dropout(), nn.Linear(48, 10), nn.LogSoftmax(1)), r(2, 3, 15, 15)),
    "avgpool": (nn.Sequential(nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False),
                              nn.AvgPool2d(2, 2, 1)), r(2, 3, 16, 16)),
    "avgceil": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), r(2, 3, 16, 16)),
    "resnet": (Fn(residual, block(4, 8, 2), block(8, 8), nn.Conv2d(4, 8, 1, 2)), r(2, 4, 9, 9)),
    "depthwise": (nn.Sequential(block(6, 6, 2, 6), nn.ReLU6(), nn.Conv2d(6, 10, 1), nn.Hardswish(),
                                nn.AdaptiveAvgPool2d(1), nn.Flatten()), r(2, 6, 12, 10)),
    "unet": (Fn(unet, block(3, 6), block(6, 8), nn.ConvTranspose2d(8, 6, 2, 2),
                nn.Conv2d(44, 2, 1)), r(2, 3, 16, 16)),
    "deconv": (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2, dilation=2),
                             nn.ConvTranspose2d(6, 3, (4, 3), (2, 3), (1, 0))), r(2, 4, 5, 6)),
    "lstm": (Fn(lambda m, x: m(x)[0], nn.LSTM(5, 6, 2, bidirectional=True)), r(7, 2, 5)),
    "lstm_first": (Fn(lambda m, x: m(x)[1][1], nn.LSTM(5, 6, 3, batch_first=True)), r(2, 7, 5)),
    "gru": (Fn(lambda m, x: m(x)[0], nn.GRU(5, 6, 2, bidirectional=True, batch_first=True)),
            r(2, 7, 5)),
    "rnn": (Fn(lambda m, x, h: m(x, h), nn.RNN(5, 6, 1, nonlinearity="relu", bidirectional=True)),
            r(7, 2, 5), r(2, 2, 6)),
    "encoder": (nn.TransformerEncoderLayer(8, 2, 16, activation="gelu"), r(5, 2, 8)),
    "encoder_first": (nn.TransformerEncoder(nn.TransformerEncoderLayer(
        8, 2, 16, norm_first=True, dropout=0.0), 2), r(5, 2, 8)),
    "decoder": (nn.TransformerDecoderLayer(8, 2, 16), r(5, 2, 8), r(4, 2, 8)),
    "attention": (Fn(attention, nn.MultiheadAttention(8, 2, batch_first=True)), r(2, 5, 8)),
    "norms": (nn.Sequential(nn.GroupNorm(2, 6), nn.InstanceNorm2d(6, affine=True),
                            nn.LayerNorm([6, 5, 7]), nn.LocalResponseNorm(3)), r(2, 6, 5, 7)),
    "embedding": (Fn(lambda e, l, x: l(e(x).mean(1)), nn.Embedding(20, 6), nn.Linear(6, 3)),
                  ints(20, 2, 9)),
    "pools": (Fn(lambda x: torch.cat([F.adaptive_avg_pool2d(x, 4), F.adaptive_max_pool2d(x, 4),
                                      F.lp_pool2d(x.abs(), 2, 2)[:, :, :4, :4]], 1)), r(2, 3, 8, 12)),
    "shuffle": (Fn(lambda x: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2).flip(3)), r(2, 4, 6, 8)),
    "acts": (Fn(acts), 3 * r(2, 6, 4)),
    "prelu": (nn.Sequential(nn.PReLU(4), nn.PReLU()), r(2, 4, 5)),
    "einsum": (Fn(lambda x, y: torch.einsum("bij,bkj->bik", x, y)
                  + torch.einsum("bij,bij->bi", x, x)[..., None]), r(2, 3, 4), r(2, 3, 4)),
    "grid": (Fn(lambda x, g: torch.cat([
        F.grid_sample(x, g, align_corners=False), F.grid_sample(x, g, "nearest", "border", True),
        F.grid_sample(x, g, "bilinear", "reflection", False)], 1)),
        r(2, 3, 6, 5), torch.rand(2, 4, 4, 2) * 2.6 - 1.3),
    "pads": (Fn(lambda x: F.pad(F.pad(F.pad(x, (1, 2, 0, 1)), (2, 1, 1, 2), "reflect"), (1, 1, 1, 0),
                                "replicate")[..., 1:-1:2]), r(2, 3, 6, 7)),
    "topk": (Fn(lambda x: (torch.topk(x, 3, 1)[0], torch.topk(x, 2, 2, False)[1], x.argmax(1),
                           x.argmin(2, keepdim=True), x.max(2)[1], torch.sort(x, 2)[0])), r(2, 6, 5)),
    "masks": (Fn(lambda x: torch.where(x > 0, x, x * 2).masked_fill(x < -1, -9.0)
                 * (~(x == 0)).float() + torch.tril(x) - torch.triu(x, 1)), r(2, 6, 6)),
    "causal": (Fn(lambda x: torch.softmax(x.masked_fill(torch.triu(torch.ones(
        x.size(-1), x.size(-1)), 1).bool(), float("-inf")), -1)), r(2, 5, 5)),
    "reduce": (Fn(lambda x: torch.cat([x.cumsum(1), x.std(1, keepdim=True), x.var((1, 2), True, True)
                                       .expand(-1, 1, 5), torch.logsumexp(x, 1, True), x.norm(
                                           dim=1, keepdim=True), x.prod(1, True), x.amax(1, True)],
                                      1)), r(2, 4, 5)),
    "conv1d": (nn.Sequential(nn.Conv1d(4, 8, 3, 2, 2, 2, groups=2),
                             nn.GLU(1), nn.MaxPool1d(2), nn.ConvTranspose1d(4, 2, 3, 2)), r(2, 4, 20)),
    "conv3d": (nn.Sequential(nn.Conv3d(2, 4, 3, 1, 1), nn.BatchNorm3d(4), nn.ReLU(),
                             nn.MaxPool3d(2), nn.ConvTranspose3d(4, 2, 2, 2),
                             nn.AvgPool3d(2)), r(2, 2, 6, 4, 8)),
    "casts": (Fn(i8conv), r(2, 3, 7)),
    "double": (nn.Sequential(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(9, 4)).double(),
               r(2, 2, 5).double()),
    "scatter": (Fn(lambda x, i: torch.gather(x, 1, i) + torch.zeros_like(x).scatter(1, i, x)
                   + x.index_select(1, torch.tensor([2, 0, 1, 3]))), r(2, 4),
                torch.tensor([[1, 0, 3, 2], [3, 2, 1, 0]])),
    "shapes": (Fn(lambda x: torch.cat([t.reshape(t.size(0), -1) for t in torch.chunk(
        x.permute(0, 2, 1), 2, 2)] + [x.repeat(1, 2, 1).unbind(2)[0], torch.roll(x, 1, 2)
                                      .flatten(1), torch.meshgrid(x[0, 0], x[0, 1])[0]
                                      .reshape(1, -1).expand(x.size(0), -1)], 1)), r(2, 4, 3)),
    "math": (Fn(lambda x: torch.stack([x.sin(), x.cos(), torch.tan(x), x.atan(), x.abs().sqrt(), x.exp(),
                                       x.abs().log1p(), x.sigmoid(), x.floor(), x.ceil(), x.round(),
                                       x.sign(), x.abs().rsqrt(), x.reciprocal(), x.clamp(-1, 1).asin(),
                                       x.clamp(max=0.5), x.abs() ** 1.7, x.remainder(0.7), x.fmod(0.7)], 1)), r(2, 9)),
}


def check(name, opset, args, folder):
    torch.manual_seed(7)
    model, *inputs = CASES[name]
    model.eval()
    path = os.path.join(folder, "net.onnx")
    names = [f"in{k}" for k in range(len(inputs))]
    batch = {n: {x.dim() - 3 if name in ("lstm", "rnn") and k == 0 else 0: "batch"}
             for k, (n, x) in enumerate(zip(names, inputs))} if args.dynamic else None
    if name in ("lstm", "rnn", "encoder", "encoder_first", "decoder") and args.dynamic:
        batch = {n: {1: "batch"} for n in names}
    try:
        torch.onnx.export(model, tuple(inputs), path, input_names=names, opset_version=opset,
                          dynamic_axes=batch, do_constant_folding=not args.no_fold)
    except Exception as e:  # torch has not every operator at every opset
        return f"not exported: {str(e).splitlines()[0][:90]}"
    with torch.no_grad():
        expected = model(*inputs)
    expected = [e.numpy() for e in (expected if isinstance(expected, tuple) else (expected,))]
    inputs = [x.numpy() for x in inputs]
    options = ["-D", "batch=2"] if args.dynamic else []
    source, header = harness.compile_model(args.mcc, path, folder, options)
    library = harness.build_shared(source, "gcc", ["-O2"], folder, f"{name}{opset}")
    results = {"c": harness.call(library, harness.Interface(header), inputs)}
    for engine in ("interp", "jit") if args.engines else ():
        results[engine] = harness.run_engine(args.mcc_run, engine, path, folder, inputs,
                                             len(expected), options)
    for engine, outputs in results.items():
        for out, want in zip(outputs, expected):
            out = harness.view_as(out, want)
            if not np.allclose(out, want, rtol=1e-4, atol=1e-5, equal_nan=True):
                raise harness.Failure(f"{engine}: largest difference {np.abs(out - want).max():g}")
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mcc")
    parser.add_argument("mcc_run")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--opset", default="9,11,13,17")
    for flag in ("--dynamic", "--no-fold", "--engines"):
        parser.add_argument(flag, action="store_true")
    args = parser.parse_args()
    passed = failed = 0
    for name in args.names or CASES:
        for opset in map(int, args.opset.split(",")):
            with harness.scratch_folder() as folder:
                try:
                    problem = check(name, opset, args, folder)
                    if problem:
                        print(f"{name} opset {opset}: {problem}")
                    passed += not problem
                except (harness.Failure, harness.Unsupported) as e:
                    failed += 1
                    print(f"FAIL {name} opset {opset}: {type(e).__name__}: {e}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
