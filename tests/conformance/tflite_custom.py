"""Custom operators for tflite_made.py: those of TFLite Micro and MediaPipe, in numpy."""
import math
import struct

import numpy as np

from tflite_file import (ANYTHING, BOOL, F32, I16, I32, I8, U32, U64, Case, f32, flexbuffer_map,
                         floats, model, op, tensor)


# ---- Audio operators of TFLite Micro ----

KINDS = {np.dtype(np.int16): I16, np.dtype(np.int32): I32, np.dtype(f32): F32,
         np.dtype(np.bool_): BOOL, np.dtype(np.int8): I8, np.dtype(np.uint32): U32,
         np.dtype(np.uint64): U64}


def custom(name, calls, results, tolerance=0.0, quantised=None, **options):
    """A case of one custom operator of one input."""
    x = calls[0]
    tensors = [tensor("x", x.shape, KINDS[x.dtype], **(quantised or {}))]
    for k in range(len(results[0])):
        y = next(r[k] for r in results if r[k] is not ANYTHING)
        tensors.append(tensor(f"y{k}", y.shape, KINDS[y.dtype], **(quantised or {})))
    outs = list(range(1, len(tensors)))
    data = model(tensors, [op(0, [0], outs, custom=flexbuffer_map(**options))], [name], [],
                 outs=outs)
    return Case(f"{name} {list(options.values())}", data, [[x] for x in calls], results, tolerance)


def framer(random, size, step, prefill, count):
    """Numbers wait in a queue; each step a frame is read and one step of it dropped."""
    waiting = [[0] * (size - step) if prefill else [] for _ in range(2)]
    calls, results = [], []
    for _ in range(6):
        x = random.integers(-99, 100, (2, count * step)).astype(np.int16)
        y, valid = np.zeros((2, count, size), np.int16), True
        for row in range(2):
            for i in range(count):
                waiting[row] += list(x[row, i * step:(i + 1) * step])
                if len(waiting[row]) >= size:
                    y[row, i] = waiting[row][:size]
                    del waiting[row][:step]
                else:
                    valid = False
        calls.append(x)
        results.append([y if valid else ANYTHING, np.array(valid)])
    return custom("SignalFramer", calls, results, frame_size=size, frame_step=step,
                  prefill=prefill)


def stacker(random, left, right, step):
    channels, n = 3, left + right + 1
    waiting, calls, results = [], [], []
    for i in range(9):
        x = random.integers(-99, 100, channels).astype(np.int16)
        waiting += [x] * (left + 1 if i == 0 else 1)
        valid = len(waiting) >= n
        y = np.concatenate(waiting[:n]) if valid else ANYTHING
        if valid:
            del waiting[:step]
        calls.append(x)
        results.append([y, np.array(valid)])
    return custom("SignalStacker", calls, results, num_channels=channels,
                  stacker_left_context=left, stacker_right_context=right, stacker_step=step)


def delay(random, length):
    xs = random.integers(-99, 100, (5, 2, 4)).astype(np.int16)
    stream = np.concatenate([np.zeros((2, length), np.int16), *xs], axis=1)
    return custom("SignalDelay", list(xs), [[stream[:, 4 * i:4 * i + 4].copy()] for i in range(5)],
                  delay_length=length)


def overlap_add(random, kind, step):
    size, count = 6, 2
    kind = np.dtype(kind)
    total = np.zeros((2, size), np.float64)
    calls, results = [], []
    for _ in range(4):
        x = random.integers(-20000, 20000, (2, count, size)).astype(kind)
        y = np.zeros((2, count * step), kind)
        for i in range(count):
            total += x[:, i]
            total = np.clip(total, -32768, 32767) if kind == np.int16 else total
            y[:, i * step:(i + 1) * step] = total[:, :step]
            total = np.concatenate([total[:, step:], np.zeros((2, step))], 1)
        calls.append(x)
        results.append([y])
    return custom("SignalOverlapAdd", calls, results, T=KINDS[kind], frame_step=step)


def fourier(random, kind, length, count, backward):
    """Fixed-point transforms divide by the length, as real inverse ones do anyway."""
    kind = np.dtype(kind)
    size = {np.dtype(np.int16): 2 ** 14, np.dtype(np.int32): 2 ** 29}.get(kind, 1)
    x = random.uniform(-size, size, (2, count)).astype(kind)
    padded = np.concatenate([x, np.zeros((2, length - count))], 1)
    spectrum = np.fft.rfft(padded) / (length if kind != f32 else 1)
    pairs = np.stack([spectrum.real, spectrum.imag], -1).reshape(2, -1)
    tolerance = {np.dtype(np.int16): 6.0, np.dtype(np.int32): 60.0}.get(kind, 1e-5)
    if not backward:
        pairs = pairs.astype(kind) if kind == f32 else np.round(pairs).astype(kind)
        return custom("SignalRfft", [x], [[pairs]], tolerance, T=KINDS[kind], fft_length=length)
    pairs = pairs if kind == f32 else np.clip(np.round(pairs * 4), -size / 2, size / 2)
    pairs = pairs.astype(kind).reshape(2, -1, 2)
    # A real signal has real ends of its spectrum.
    pairs[:, [0, -1], 1] = 0
    y = np.fft.irfft(pairs[..., 0] + 1j * pairs[..., 1].astype(np.float64))
    y = (y if kind == f32 else np.round(y)).astype(kind)
    return custom("SignalIrfft", [pairs.reshape(2, -1)], [[y]], tolerance, T=KINDS[kind],
                  fft_length=length)


def many(name, ins, outs, **options):
    """A custom operator of several inputs; outs is a list for each call."""
    tensors = [tensor(f"t{k}", x.shape, KINDS[x.dtype]) for k, x in enumerate([*ins, *outs[0]])]
    n = len(ins)
    data = model(tensors, [op(0, list(range(n)), list(range(n, len(tensors))),
                              custom=flexbuffer_map(**options))], [name], [],
                 list(range(n)), list(range(n, len(tensors))))
    return Case(name, data, [ins] * len(outs), outs)


def rounded_root(x):
    """The nearest whole number, but for numbers of 32 bits at most 65535."""
    root = math.isqrt(x)
    limit = 0xffff if x < 2 ** 32 else 0xffffffff
    return root + 1 if x - root * root > root and root != limit else root


def log_of(x, scale):
    """ln(x) * scale with 16 fractional bits, by a table of 128 chords of log2."""
    if x <= 1:
        return 0
    bits = x.bit_length() - 1
    f = ((x - (1 << bits)) << 16) >> bits
    table = [int(math.floor(65536 * (math.log2(1 + i / 128) - i / 128) + 0.5)) for i in range(129)]
    i = f >> 9
    log2 = (bits << 16) + f + table[i] + ((table[i + 1] - table[i]) * (f - 512 * i) >> 16)
    return min((scale * (45426 * log2 + 32768 >> 16) + 32768) >> 16, 32767)


def gain(x, lut):
    if x <= 2:
        return lut[x]
    bits = x.bit_length()
    a, b, c = lut[4 * bits - 6:4 * bits - 3]
    f = (x << 11 - bits if bits < 11 else x >> bits - 11) & 0x3ff
    return (((c * f >> 5) + (b << 5)) * f + (1 << 14) >> 15) + a


def audio_parts(random):
    u32, i16, i32 = np.uint32, np.int16, np.int32
    x = random.integers(-32768, 32768, (2, 5)).astype(i16)
    w = random.integers(0, 4097, 5).astype(i16)
    want = np.clip(x.astype(int) * w >> 11, -32768, 32767).astype(i16)
    yield many("SignalWindow", [x, w], [[want]], shift=11)
    for size in (3, 900, 32767):
        x = random.integers(-size, size + 1, 7).astype(i16)
        x[3] = -size
        shift = max(15 - int(np.abs(x.astype(int)).max()).bit_length(), 0)
        yield many("SignalFftAutoScale", [x], [[x << shift, np.array(shift, i32)]])
    x = random.integers(-32768, 32768, 10).astype(i16)
    energy = (x.astype(np.int64) ** 2).reshape(-1, 2).sum(1)
    energy[[0, 4]] = 0
    yield many("SignalEnergy", [x], [[energy.astype(u32)]], start_index=1, end_index=4)
    x = np.array([0, 1, 2, 3, 65535 ** 2, 2 ** 32 - 1, 2 ** 32, 2 ** 63 + 5, 2 ** 64 - 1, 10 ** 12],
                 np.uint64)
    want = np.array([rounded_root(int(v)) >> 1 for v in x], u32)
    yield many("SignalFilterBankSquareRoot", [x, np.array(1, i32)], [[want]])
    x = np.array([0, 1, 2, 3, 100, 65535, 65536, 10 ** 6, 2 ** 28], u32)
    want = np.array([log_of(int(v) << 3, 64) for v in x], i16)
    yield many("SignalFilterBankLog", [x], [[want]], input_correction_bits=3, output_scale=64)
    x, noise = (np.array([int(2 ** v) for v in random.uniform(0, 24, 9)], u32) for _ in "xn")
    lut = random.integers(0, 4000, 125).astype(i16)
    lut[3::4] = 0
    want = []
    for v, z in zip(x, noise):
        snr = (int(v) * (gain(int(z), lut.astype(int).tolist()) & 0xffffffff) >> 6) & 0xffffffff
        want.append((snr * snr & 0xffffffff) >> 20 if snr < 8192 else (snr >> 6) - 64)
    yield many("SignalPCAN", [x, noise, lut], [[np.array(want, u32)]], snr_shift=6)
    x = random.integers(0, 2 ** 32, 9).astype(u32)
    w, u = (random.integers(0, 4097, 8).astype(i16) for _ in "wu")
    start, first, width = ([1, 2, 5], [0, 3, 4], [2, 1, 4])
    sums = [sum(int(x[s + j]) * int(v[k + j]) for j in range(n))
            for v in (w, u) for s, k, n in zip(start, first, width)]
    want = np.array([sums[1] + sums[3], sums[2] + sums[4]], np.uint64)
    yield many("SignalFilterBank", [x, w, u, *(np.array(v, i16) for v in (start, first, width))],
               [[want]], num_channels=2)
    for clamping in (False, True):
        x, noise, outs = random.integers(0, 9999, 5).astype(u32), [0] * 5, []
        for _ in range(3):
            y = []
            for i, v in enumerate(x.tolist()):
                s, r = ((409, 15975), (983, 15401))[i % 2]
                noise[i] = ((v << 10) * s + noise[i] * r) >> 14
                over = min(noise[i], v << 10)
                noise[i] = over if clamping else noise[i]
                y.append(max((v << 10) - over >> 10, v * 819 >> 14))
            outs.append([np.array(y, u32), np.array(noise, u32)])
        yield many("SignalFilterBankSpectralSubtraction", [x], outs, clamping=clamping,
                   num_channels=5, smoothing=409, one_minus_smoothing=15975,
                   alternate_smoothing=983, alternate_one_minus_smoothing=15401,
                   min_signal_remaining=819, smoothing_bits=10, spectral_subtraction_bits=14)


def circular_buffer(random):
    xs = random.integers(-99, 100, (4, 1, 1, 1, 3)).astype(np.int8)
    held = np.full((1, 4, 1, 3), 5, np.int8)
    results = []
    for x in xs:
        held = np.concatenate([held[:, 1:], x], 1)
        results.append([held])
    return custom("CIRCULAR_BUFFER", list(xs), results, quantised=dict(scale=[0.5], zero=[5]),
                  cycles_max=1)


def signal_cases(random):
    for size, step, prefill, count in ((6, 4, True, 2), (6, 4, False, 1), (8, 4, False, 2),
                                       (3, 4, False, 2), (10, 3, False, 1)):
        yield framer(random, size, step, prefill, count)
    for left, right, step in ((2, 0, 1), (1, 2, 1), (1, 1, 2), (0, 2, 3)):
        yield stacker(random, left, right, step)
    for length in (0, 3, 9):
        yield delay(random, length)
    for kind in (np.int16, f32):
        for step in (2, 6):
            yield overlap_add(random, kind, step)
    for kind in (np.int16, np.int32, f32):
        for length, count in ((4, 4), (64, 50), (128, 127), (512, 480)):
            yield fourier(random, kind, length, count, False)
            yield fourier(random, kind, length, length, True)
    yield circular_buffer(random)
    yield from audio_parts(random)


# ---- MediaPipe ----

def transposed(x, w, bias, stride, pads):
    """Transpose convolution, [n, h, w, c] by [o, h, w, c], less the padding."""
    n, rows, columns, _ = x.shape
    out, kh, kw, _ = w.shape
    y = np.zeros((n, (rows - 1) * stride[0] + kh, (columns - 1) * stride[1] + kw, out))
    for row in range(rows):
        for column in range(columns):
            at = (slice(None), slice(row * stride[0], row * stride[0] + kh),
                  slice(column * stride[1], column * stride[1] + kw))
            y[at] += np.einsum("nc,ohwc->nhwo", x[:, row, column].astype(np.float64), w)
    (top, bottom), (left, right) = pads
    return (y[:, top:y.shape[1] - bottom, left:y.shape[2] - right] + bias).astype(f32)


def transpose_conv_model(x, w, bias, y, options):
    tensors = [tensor("x", x.shape, F32), tensor("w", w.shape, F32, 1),
               tensor("b", bias.shape, F32, 2), tensor("y", y, F32)]
    return model(tensors, [op(0, [0, 1, 2], [3], custom=options)],
                 ["Convolution2DTransposeBias"], [floats(w), floats(bias)])


def transpose_conv(random, kernel, stride, size, same, activation=None):
    """SAME takes off what the kernel reaches beyond its stride, as the operator has it."""
    x = random.uniform(-1, 1, (2, *size, 3)).astype(f32)
    w = random.uniform(-1, 1, (4, *kernel, 3)).astype(f32)
    bias = random.uniform(-1, 1, 4).astype(f32)
    pads = []
    for n, k, s in zip(size, kernel, stride):
        total = max(0, k - (n - 1) % s - 1) if same else 0
        pads.append((total // 2, total - total // 2))
    y = transposed(x, w, bias, stride, pads)
    options = struct.pack("<3i", 1 if same else 2, stride[1], stride[0])
    if activation is not None:
        options += struct.pack("<i", activation)
        y = np.maximum(y, 0) if activation else y
    return Case(f"Convolution2DTransposeBias {kernel} {stride} {size} {same}",
                transpose_conv_model(x, w, bias, y.shape, options), [[x]], [[y]], 1e-6)


def mediapipe_cases(random):
    for same in (True, False):
        yield transpose_conv(random, (2, 2), (2, 2), (4, 5), same)
        yield transpose_conv(random, (3, 3), (2, 2), (4, 5), same)
        yield transpose_conv(random, (4, 3), (2, 3), (3, 7), same, 0)
        yield transpose_conv(random, (1, 2), (3, 1), (5, 2), same, 1)


def custom_refusals():
    x, w, bias = np.zeros((1, 2, 2, 3)), np.zeros((4, 2, 2, 3)), np.zeros(4)
    place = "op 0 'y' (CUSTOM:Convolution2DTransposeBias): error: "
    for options, message in ((b"", "its options cannot be read"),
                             (struct.pack("<2i", 1, 2), "its options cannot be read"),
                             (struct.pack("<3i", 3, 2, 2), "its options cannot be read"),
                             (struct.pack("<3i", 1, 0, 2), "stride or kernel out of range")):
        yield (f"raw options {options}", transpose_conv_model(x, w, bias, (1, 4, 4, 4), options),
               place + message)
    yield ("another shape", transpose_conv_model(x, w, bias, (1, 5, 4, 4), struct.pack("<3i", 1, 2, 2)),
           "op 0 'y' (CUSTOM:Convolution2DTransposeBias): error: ")


def custom_cases(random):
    yield from signal_cases(random)
    yield from mediapipe_cases(random)
