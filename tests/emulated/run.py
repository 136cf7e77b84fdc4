#!/usr/bin/python3
"""Runs models on emulated microcontrollers and compares the bytes with this machine's.

Each model is compiled to C, once for any machine and once for each core, and built by
gcc and clang for every core; and to an object file by mcc, linked by GNU ld and by lld.
All of them must print the bytes that an object file for this machine gives, on recorded
inputs where the model has some: then those bytes are compared with the recorded outputs
too.  A model with a state is called three times.  On Cortex-M4 a build with -fio=arena
must print the same.  AVR runs the small models through C.

The board support and the cores are those of tests/mcusim; needs qemu-system-arm,
qemu-system-misc, the cross compilers and C libraries that its Makefile names, and
libsimavr-dev.  What is missing is skipped with a word; when nothing can run, the exit
status is 77.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../conformance"))
import harness  # noqa: E402

# core of mcusim: the options of mcc for its object files
CORES = {
    "m0": "-mcpu=cortex-m0 -mthumb -mfloat-abi=soft",
    "m3": "-mcpu=cortex-m3 -mthumb -mfloat-abi=soft",
    "m4soft": "-mcpu=cortex-m4 -mthumb -mfloat-abi=soft",
    "m4": "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16",
    "m7": "-mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-d16",
    "m33": "-mcpu=cortex-m33 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16",
    "m55": "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard",
    "rv32imac": "-march=rv32imac -mabi=ilp32 -mcmodel=medany",
    "rv32imafc": "-march=rv32imafc -mabi=ilp32f -mcmodel=medany",
    "avr": None,
}
TOOLS = {
    "m": ("qemu-system-arm", "arm-none-eabi-gcc"),
    "r": ("qemu-system-riscv32", "riscv64-unknown-elf-gcc"),
    "a": ("avr-gcc",),
}
# Builds with everything in the arena, on Cortex-M4.
ARENAS = {"-fio=arena": [], "-mregion": ["-mregion=FAST:2K", "-mregion=BULK:1M"]}
CALLS = 3  # of a model with a state
LLD = "/usr/lib/llvm-19/bin"


def missing_tools(core):
    return [t for t in TOOLS[core[0]] if not shutil.which(t)]


def prepare_simulator(folder):
    """A copy of mcusim with its plugin built; the part that cannot be is named."""
    sim = os.path.join(folder, "mcusim")
    shutil.copytree(os.path.join(HERE, "../mcusim"), sim)
    built = set()
    for target in ("cycles.so", "avr_cycles"):
        done = harness.run(["make", "-C", sim, target])
        if done.returncode == 0:
            built.add(target)
        else:
            print(f"skipped: cannot build {target}: {done.stderr.strip()[:200]}")
    return sim, built


def random_input(shape_type, seed):
    rng = np.random.default_rng(seed)
    dtype, count = shape_type
    if np.dtype(dtype).kind == "f":
        return rng.uniform(-1, 1, count).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, count, endpoint=True).astype(dtype)


def recorded(model, kind, n):
    """The first recorded inputs or outputs of a model, or None where there are not n."""
    names = [os.path.join(os.path.dirname(model), f"case0_{kind}{k}.npy") for k in range(n)]
    return [np.load(x).reshape(-1) for x in names] if all(map(os.path.exists, names)) else None


def recorded_steps(model):
    """How far integers may be from those recorded: XNNPACK rounds unsigned ones otherwise."""
    path = os.path.join(os.path.dirname(model), "meta.json")
    if not os.path.exists(path):
        return 0
    with open(path) as f:
        meta = json.load(f)
    unsigned = "UINT8" in meta.get("weight_types", {})
    return 5 if unsigned and "XNNPACK" in (meta.get("runner") or "") else 0


def check_recorded(model, outputs):
    """Integers are the recorded ones, floats near them."""
    steps = recorded_steps(model)
    for got, want in zip(outputs, recorded(model, "out", len(outputs)) or ()):
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
        elif np.abs(got.astype(np.int64) - want.astype(np.int64)).max(initial=0) > steps:
            raise harness.Failure("this machine's outputs are not the recorded ones")


def host_outputs(args, model, folder, source, header):
    """Inputs, and the outputs that the object file for this machine gives."""
    interface = harness.Interface(header)
    params = [p for p in interface.params if p[2]]
    inputs = None if interface.has_state else recorded(model, "in", len(params))
    known = inputs is not None
    inputs = inputs or [random_input(p[1:4:2], k) for k, p in enumerate(params)]
    target, own = harness.compile_model(args.mcc, model, folder, (), "host", ".o")
    library = harness.build_shared(target, "cc", [], folder, "host")
    own = harness.Interface(own)
    state = harness.new_state(library, own)
    for _ in range(CALLS if own.has_state else 1):
        outputs = harness.call(library, own, inputs, state)
    if known:
        check_recorded(model, outputs)
    return interface, inputs, outputs


def array_text(name, x):
    values = ",".join(map(str, np.ascontiguousarray(x).view(np.uint8)))
    return (f"static const union {{ uint8_t bytes[{max(x.nbytes, 1)}]; uint64_t align; }} "
            f"{name} = {{{{{values or 0}}}}};\n")


def write_main(path, interface, inputs, header):
    prefix = interface.prefix
    text = ['#include "mcusim.h"\n', f'#include "{header}"\n']
    arguments, prints = [], []
    for k, x in enumerate(inputs):
        text.append(array_text(f"in{k}", x))
    given = 0
    for name, dtype, is_input, count in interface.params:
        if is_input:
            arguments.append(f"(const void *)in{given}.bytes")
            given += 1
            continue
        k = len(prints)
        size = max(count * np.dtype(dtype).itemsize, 1)
        text.append(f"static union {{ uint8_t bytes[{size}]; uint64_t align; }} out{k};\n")
        arguments.append(f"(void *)out{k}.bytes")
        prints.append(f'\tmcu_print_hex("out{k}", out{k}.bytes, sizeof out{k}.bytes);\n')
    text.append(f"static union {{ uint8_t bytes[{max(interface.arena, 1)}]; uint64_t align; }} "
                "arena __attribute__((aligned(8)));\n")
    before = again = ""
    if interface.has_state:
        text.append(f"static {prefix}_state state;\n")
        arguments.append("&state")
        before = f"\t{prefix}_reset(&state);\n"
        again = f"\tfor (int call = 1; call < {CALLS} && status == 0; call++)\n\t"
    run = f"\tstatus = {prefix}_run({', '.join(arguments + ['arena.bytes'])});\n"
    text.append(f"int main(void)\n{{\n\tint status;\n{before}"
                f'\tmcu_begin("run");\n{run}{again}{again and run}'
                "\tmcu_end();\n" + "".join(prints) + "\treturn status;\n}\n")
    with open(path, "w") as f:
        f.writelines(text)


def write_arena_main(path, inputs, outputs, header):
    """A main() for a build with -fio=arena, which is called by offsets; each region of
    -mregion is an array of its own."""
    text = open(header).read()
    sizes = re.findall(r"_ARENA_SIZE (\d+)u", text)
    regions = re.findall(r"^#define \w+_REGION (\d+)$", text, re.M)
    offsets = re.findall(r"^#define \w+_OFFSET (\d+)u$", text, re.M)
    places = [f"arena{r}.bytes + {at}" for r, at in zip(regions or ["0"] * len(offsets), offsets)]
    prefix = re.search(r"^int (\w+)_run\(", text, re.M)
    arenas = ", ".join(f"arena{r}.bytes" for r in range(len(sizes)))
    reset = f"{prefix.group(1)}_reset({arenas});" if "_reset(" in text else ""
    calls = CALLS if reset else 1
    lines = ['#include <string.h>\n', '#include "mcusim.h"\n', f'#include "{os.path.basename(header)}"\n']
    lines += [array_text(f"in{k}", x) for k, x in enumerate(inputs)]
    for r, size in enumerate(sizes):
        lines.append(f"static union {{ uint8_t bytes[{size} + 1]; uint64_t align; }} arena{r};\n")
    lines.append(f"int main(void)\n{{\n\tint status = 0;\n\t{reset}\n\tmcu_begin(\"run\");\n"
                 f"\tfor (int call = 0; call < {calls} && status == 0; call++) {{\n")
    for k, x in enumerate(inputs):
        lines.append(f"\t\tmemcpy({places[k]}, in{k}.bytes, {x.nbytes});\n")
    lines.append(f"\t\tstatus = {prefix.group(1)}_run({arenas});\n\t}}\n\tmcu_end();\n")
    for k, y in enumerate(outputs):
        at = places[len(places) - len(outputs) + k]
        lines.append(f'\tmcu_print_hex("out{k}", {at}, {y.nbytes});\n')
    lines.append("\treturn status;\n}\n")
    with open(path, "w") as f:
        f.writelines(lines)


def simulate(sim, core, compiler, files, folder, libs=""):
    """Outputs as hexadecimal text, and instructions."""
    command = [os.path.join(sim, "mcusim"), "--core", core, "--cc", compiler, "-I", folder,
               "--show-output", "--cflags=-std=gnu11 -ffp-contract=off", f"--libs={libs}", *files]
    done = harness.run(command, timeout=900)
    if done.returncode != 0:
        raise harness.Failure((done.stdout + done.stderr).strip()[-600:])
    outputs = dict(re.findall(r"^(out\d+)=([0-9a-f]*)\r?$", done.stdout, re.M))
    count = re.search(r"^run +(\d+) instructions", done.stdout, re.M)
    return outputs, int(count.group(1)) if count else 0


def check(name, build, wanted, run):
    """Prints a line; whether the bytes are the host's."""
    try:
        outputs, instructions = run()
        for k, y in enumerate(wanted):
            if outputs.get(f"out{k}") != y.tobytes().hex():
                raise harness.Failure(f"output {k} differs from the host's")
    except (harness.Failure, harness.Unsupported) as e:
        print(f"{name:24} {build:28} FAILED: {e}", flush=True)
        return False
    print(f"{name:24} {build:28} same bytes, {instructions} instructions", flush=True)
    return True


def core_build(args, core, model, folder, inputs, suffix, level):
    """A build for that core, with its own main(): kernels for it need other memory."""
    name = f"{core}{level}_{suffix[1:]}"
    options = CORES[core].split() + ["-fprefix=model", level]
    target, header = harness.compile_model(args.mcc, model, folder, options, name, suffix)
    main = os.path.join(folder, name + "_main.c")
    write_main(main, harness.Interface(header), inputs, os.path.basename(header))
    return [main, target]


def run_model(args, sim, cores, name, model, folder):
    source, header = harness.compile_model(args.mcc, model, folder, ["-fprefix=model"])
    interface, inputs, wanted = host_outputs(args, model, folder, source, header)
    main = os.path.join(folder, "main.c")
    write_main(main, interface, inputs, os.path.basename(header))
    good, total = 0, 0
    for core in cores:
        compilers = ["gcc"]
        if core == "m4":
            for what, options in ARENAS.items():
                target, own = harness.compile_model(args.mcc, model, folder, CORES[core].split() +
                                                    ["-fio=arena", "-Os", *options], "inside")
                inside = os.path.join(folder, "inside_main.c")
                write_arena_main(inside, inputs, wanted, own)
                good += check(name, f"{core} C {what}", wanted,
                              lambda: simulate(sim, core, "gcc", [inside, target], folder))
                total += 1
        if CORES[core] and shutil.which("clang-19"):
            compilers.append("clang")
        if CORES[core]:
            own = core_build(args, core, model, folder, inputs, ".c", "-O3")
            for compiler in compilers:
                good += check(name, f"{core} own C {compiler}", wanted,
                              lambda: simulate(sim, core, compiler, own, folder))
                total += 1
        for compiler in compilers:
            good += check(name, f"{core} C {compiler}", wanted,
                          lambda: simulate(sim, core, compiler, [main, source], folder))
            total += 1
        linkers = {"ld": ""}
        if os.path.exists(os.path.join(LLD, "ld.lld")):
            linkers["lld"] = f"-B{LLD} -fuse-ld=lld"
        for linker, libs in linkers.items() if CORES[core] else ():
            built = core_build(args, core, model, folder, inputs, ".o", "-O2")
            good += check(name, f"{core} object {linker}", wanted,
                          lambda: simulate(sim, core, "gcc", built, folder, libs))
            total += 1
    return good, total


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--mcc", default="build/mcc")
    p.add_argument("--models", default=os.path.join(HERE, "../../../shared/models"))
    p.add_argument("--core", action="append", choices=sorted(CORES))
    p.add_argument("names", nargs="*", help="models of --models (default: onnx_kws_alibaba, "
                   "mlperf_kws_i8)")
    args = p.parse_args()
    args.mcc = os.path.abspath(args.mcc)

    cores = []
    for core in args.core or CORES:
        missing = missing_tools(core)
        if missing:
            print(f"skipped: {core}: no {', '.join(missing)}")
        else:
            cores.append(core)
    if not cores:
        return 77
    good = total = 0
    with tempfile.TemporaryDirectory(prefix="mcc-emulated-") as folder:
        sim, built = prepare_simulator(folder)
        cores = [c for c in cores if ("avr_cycles" if c == "avr" else "cycles.so") in built]
        if not cores:
            return 77
        models = [(name, os.path.join(HERE, name + ".mcc"), cores)
                  for name in ("tiny", "states")]
        large = [c for c in cores if c != "avr"]
        for name in args.names or ["onnx_kws_alibaba", "mlperf_kws_i8"]:
            path = os.path.join(args.models, name)
            if os.path.isdir(path):
                files = [f for f in os.listdir(path) if f.startswith("model.")]
                models.append((name, os.path.join(path, files[0]), large))
            else:
                print(f"skipped: no {name} in {args.models}")
        for name, model, on in models:
            work = os.path.join(folder, name)
            os.mkdir(work)
            g, t = run_model(args, sim, on, name, model, work)
            good, total = good + g, total + t
    print(f"{good} of {total} runs give the bytes of this machine")
    return 0 if good == total else 1


if __name__ == "__main__":
    sys.exit(main())
