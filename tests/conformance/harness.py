"""What the conformance runners share: compile a model with mcc, build the
generated C with a C compiler, call it, compare.

Needs python3-numpy; generated code is called through ctypes.
"""
import ctypes
import os
import re
import shlex
import subprocess
import tempfile

import numpy as np

C_TYPES = {
    "float": np.float32, "double": np.float64,
    "int8_t": np.int8, "uint8_t": np.uint8, "int16_t": np.int16, "uint16_t": np.uint16,
    "int32_t": np.int32, "uint32_t": np.uint32, "int64_t": np.int64, "uint64_t": np.uint64,
}

# A model of the tests compiles in well under a second; a hang is a failure.
TIMEOUT = 60


class Failure(Exception):
    """The generated code or mcc did something wrong."""


class Unsupported(Exception):
    """mcc said that it cannot compile the model, with exit status 1."""


def run(command, timeout=TIMEOUT, **kw):
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, errors="replace",
                          timeout=timeout, **kw)


def compile_model(mcc, model, folder, options=(), name="model", suffix=".c"):
    """Runs mcc on a model file; returns the paths of the .c (or .o) and the .h file."""
    source = os.path.join(folder, name + suffix)
    try:
        done = run([mcc, *options, model, "-o", source])
    except subprocess.TimeoutExpired:
        raise Failure(f"mcc ran longer than {TIMEOUT} s")
    if done.returncode == 1:
        if os.path.exists(source):
            raise Failure("mcc left an output file behind an error")
        if "error:" not in done.stderr:
            raise Failure("mcc exited with 1 and without a message")
        raise Unsupported(done.stderr.strip().splitlines()[0])
    if done.returncode != 0:
        raise Failure(f"mcc exited with {done.returncode}: {done.stderr.strip()[-500:]}")
    if done.stderr or done.stdout:
        raise Failure(f"mcc was not silent: {(done.stdout + done.stderr).strip()[:300]}")
    return source, source[:-2] + ".h"


def check_integer_only(source, but=()):
    """Whether the C computes without floats, but for layers of the operators `but`."""
    text = open(source).read()
    for layer in re.finditer(r"/\*((?:(?!\*/).)*)\*/\n\w+_LAYER .*?^}$", text, re.M | re.S):
        operator = re.search(r"\((\w+)\): ", layer.group(1))
        if but and re.search(r"\b(float|double)\b", layer.group(0)) and \
                operator.group(1) not in but:
            raise Failure(f"the C of an integer model has floats in {operator.group(1)}")
    found = re.search(r"\b(float|double)\b", re.sub(r"/\*.*?\*/", "", text, flags=re.S))
    if found and not but:
        raise Failure(f"the C of an integer model has {found.group(0)}")


class Interface:
    """The API that a generated header declares."""

    def __init__(self, header):
        text = open(header).read()
        found = re.search(r"^int (\w+)_run\(([^)]*)\);", text, re.M | re.S)
        if not found:
            raise Failure("no run function in the header")
        self.prefix = found.group(1)
        self.has_state = bool(re.search(rf"^void {self.prefix}_reset\(", text, re.M))
        # At least as large as the struct: its members and what aligns them.
        self.state_bytes = sum(
            int(n) * np.dtype(C_TYPES[t]).itemsize + 8
            for t, n in re.findall(r"^\t(\w+) \w+\[(\d+)\];", text, re.M))
        self.params = []  # (name, numpy type, is input, elements)
        sizes = re.findall(r"^#define (\w+_SIZE) (\d+)u", text, re.M)
        self.arena = int(dict(sizes)[self.prefix.upper() + "_ARENA_SIZE"])
        # The sizes of the tensors stand in the order of the parameters.
        sizes = [int(n) for name, n in sizes if name != self.prefix.upper() + "_ARENA_SIZE"]
        for p in found.group(2).split(","):
            m = re.match(r"\s*(const )?(\w+) \*\s*(\w+)\s*$", p.replace("\n", " "))
            if not m:
                raise Failure(f"cannot read the parameter '{p}'")
            if m.group(2) == "void" or m.group(2).endswith("_state"):
                continue
            if not sizes:
                raise Failure(f"no size of '{m.group(3)}' in the header")
            self.params.append((m.group(3), C_TYPES[m.group(2)], bool(m.group(1)), sizes.pop(0)))


def build_shared(source, cc, flags, folder, name="model"):
    """Builds generated C as a shared object."""
    library = os.path.join(folder, name + ".so")
    done = run([*shlex.split(cc), *flags, "-shared", "-fPIC", source, "-o", library], timeout=600)
    if done.returncode != 0:
        raise Failure(f"{cc} failed: {done.stderr.strip()[:800]}")
    return library


def new_state(library, interface):
    """Memory for the state struct, reset; None without one."""
    if not interface.has_state:
        return None
    state = np.full(interface.state_bytes + 64, 0xA5, np.uint8)
    state = state[-state.ctypes.data % 8:]
    getattr(ctypes.CDLL(library), interface.prefix + "_reset")(ctypes.c_void_p(state.ctypes.data))
    return state


def call(library, interface, inputs, state=None):
    """Calls NAME_run; inputs and results are numpy arrays in the order of the API.
    Guards behind every output and the arena catch writes out of bounds."""
    guard = 64
    if interface.has_state and state is None:
        state = new_state(library, interface)
    run_model = getattr(ctypes.CDLL(library), interface.prefix + "_run")
    arguments, outputs, guarded = [], [], []
    inputs = list(inputs)
    for name, dtype, is_input, count in interface.params:
        if is_input:
            x = np.ascontiguousarray(inputs.pop(0))
            if x.dtype == np.bool_:
                x = x.view(np.uint8)
            elif x.dtype == np.float16:
                x = x.view(np.uint16)
            if x.dtype != dtype or x.size != count:
                raise Failure(f"input '{name}' is {x.dtype}[{x.size}] in the data, "
                              f"{np.dtype(dtype)}[{count}] in the header")
            if x.size == 0:
                x = np.zeros(1, dtype)
            arguments.append(x)
        else:
            raw = np.full(count * np.dtype(dtype).itemsize + guard, 0xA5, np.uint8)
            guarded.append(raw)
            outputs.append(raw[:raw.size - guard].view(dtype))
            arguments.append(raw)
    if inputs:
        raise Failure("the header has fewer inputs than the data")
    arena = np.full(interface.arena + guard + 64, 0xA5, np.uint8)
    arena = arena[-arena.ctypes.data % 64:][:interface.arena + guard]
    guarded.append(arena)
    if state is not None:
        arguments.append(state)
    arguments.append(arena)
    status = run_model(*[ctypes.c_void_p(a.ctypes.data) for a in arguments])
    if status != 0:
        raise Failure(f"{interface.prefix}_run returned {status}")
    for raw in guarded:
        if not (raw[raw.size - guard:] == 0xA5).all():
            raise Failure("wrote beyond the end of a buffer")
    return outputs


def view_as(raw, expected):
    """Raw output elements in the type and shape of the expected array."""
    if expected.dtype in (np.bool_, np.float16):
        raw = raw.view(expected.dtype)
    if raw.dtype != expected.dtype or raw.size != expected.size:
        raise Failure(f"output is {raw.dtype}[{raw.size}], expected {expected.dtype}{list(expected.shape)}")
    return raw.reshape(expected.shape)


def run_engine(mcc_run, engine, model, folder, inputs, noutputs, options=()):
    """The outputs of one call by mcc-run, flat, with halves and bools as their bits."""
    command = [mcc_run, f"--engine={engine}", *options, model]
    outputs = [os.path.join(folder, f"{engine}_out{k}.npy") for k in range(noutputs)]
    for k, x in enumerate(inputs):
        name = os.path.join(folder, f"{engine}_in{k}.npy")
        np.save(name, x)
        command += ["-i", name]
    for name in outputs:
        command += ["-o", name]
    try:
        done = run(command, timeout=600)
    except subprocess.TimeoutExpired:
        raise Failure(f"mcc-run --engine={engine} ran longer than 600 s")
    if done.returncode != 0:
        raise Failure(f"mcc-run --engine={engine} exited with {done.returncode}: "
                      f"{done.stderr.strip()[-500:]}")
    return [np.load(name).reshape(-1) for name in outputs]


def same_bytes(x, y):
    return x.nbytes == y.nbytes and x.tobytes() == y.tobytes()


def scratch_folder():
    return tempfile.TemporaryDirectory(prefix="mcc-test-")


def run_cases(cases):
    """Runs (name, function) pairs and says which fail; the exit status."""
    failed = 0
    for name, run_case in cases:
        try:
            run_case()
        except (Failure, Unsupported) as e:
            failed += 1
            print(f"{name}: FAILED: {e}", flush=True)
    print(f"{len(cases) - failed} of {len(cases)} pass")
    return 1 if failed else 0
