#!/usr/bin/python3
"""PMML models through mcc: the cases of ../shared/pmml (not part of the repository; left
out without them) and those beside this script in pmml/, each a folder with model.pmml,
input.csv and expected.csv.

A case is compiled to C and to an object file; a program that fills the typed structs of
the header row by row runs with each compiler.  Labels must be equal and numbers within
the digits that are recorded, but at most 1e-5; the cases beside the script must have all
outputs.  At most one case in twenty may be refused, with a located error.
"""
import argparse
import csv
import math
import os
import re
import sys
import tempfile

import harness

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
MISSING = ("", "NA", "N/A")

# What is recorded otherwise than the standard or the file says; see docs/pmml.md.
WRONG = {
    "dmg-general_cox": "the value is a survival probability, of a covariate taken as a factor "
                       "and of the first time of the table",
}


class Field:
    """A field of the interface, as `mcc -E` prints it."""

    def __init__(self, match):
        self.name = unquote(match.group(1))
        self.kind = match.group(2)
        self.labels = [unquote(x) for x in re.findall(r'"((?:[^"\\]|\\.)*)"', match.group(4) or "")]

    def code(self, raw):
        if raw in self.labels:
            return self.labels.index(raw)
        text = raw.strip()
        if text in MISSING and text not in self.labels:
            return -1
        for i, label in enumerate(self.labels):
            if label == text or same_number(label, text):
                return i
        if self.labels == ["false", "true"] and text in ("0", "1"):
            return int(text)
        return len(self.labels)

    def initialiser(self, text):
        if self.kind == "category":
            return str(self.code(text))
        if text.strip() in MISSING:
            return "NAN"
        return repr(float(text))


def unquote(text):
    text = re.sub(r"\\x(..)", lambda m: "\\" + chr(int(m.group(1), 16)), text)
    return re.sub(r"\\(.)", r"\1", text, flags=re.S).encode("latin-1", "surrogateescape").decode(
        "utf-8", "replace") if "\\x" in text else re.sub(r"\\(.)", r"\1", text)


def same_number(a, b):
    try:
        return float(a) == float(b)
    except ValueError:
        return False


def fields_of(args, model):
    done = harness.run([args.mcc, "-E", "-O0", model])
    if done.returncode == 1 and re.search(r":\d+:\d+: error", done.stderr):
        raise harness.Unsupported(done.stderr.strip().splitlines()[0])
    if done.returncode != 0:
        raise harness.Failure(f"mcc -E exited with {done.returncode}: {done.stderr[-300:]}")
    pattern = r'^  %s \d+\[\d+\] "((?:[^"\\]|\\.)*)" (\w+)((?: missing| other)*)(?: \{(.*)\})?$'
    return [[Field(m) for m in re.finditer(pattern % word, done.stdout, re.M)]
            for word in ("input", "output")]


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as f:
        return [row for row in csv.reader(f) if row]


def driver_text(inputs, outputs, header, rows):
    """A program that predicts the rows through the structs."""
    prefix = re.search(r"^int (\w+)_run\(", open(header).read(), re.M).group(1)
    names = [name.strip() for name in rows[0]]
    members = re.search(r"typedef struct \{\n((?:\t.*\n)*)\} %s_output;" % prefix,
                        open(header).read()).group(1)
    members = re.findall(r"^\t\w+ (\w+);", members, re.M)
    lines = ["#include <math.h>", "#include <stdio.h>", f'#include "{os.path.basename(header)}"',
             f"static const {prefix}_input rows[] = {{"]
    for row in rows[1:]:
        cells = dict(zip(names, row))
        lines.append("\t{" + ", ".join(f.initialiser(cells.get(f.name, "")) for f in inputs)
                     + "},")
    lines += ["};", "int main(void)", "{", "\tsize_t i;",
              f"\tstatic double arena[{prefix.upper()}_ARENA_SIZE / 8 + 8];",
              "\tfor (i = 0; i < sizeof rows / sizeof *rows; i++) {", f"\t\t{prefix}_output y;",
              f"\t\tif ({prefix}_predict(&rows[i], &y, arena))", "\t\t\treturn 1;"]
    for f, member in zip(outputs, members):
        form = ('"%d,", (int)' if f.kind == "category" else '"%.17g,", (double)')
        lines.append(f"\t\tprintf({form}y.{member});")
    lines += ['\t\tprintf("\\n");', "\t}", "\treturn 0;", "}"]
    return "\n".join(lines) + "\n"


def run_rows(args, model, cc, to_object, rows, inputs, outputs, folder):
    """The rows of results as text; one list a row."""
    source, header = harness.compile_model(args.mcc, model, folder, ["-c"] if to_object else [],
                                           suffix=".o" if to_object else ".c")
    main = os.path.join(folder, "main.c")
    with open(main, "w") as f:
        f.write(driver_text(inputs, outputs, header, rows))
    program = os.path.join(folder, "program")
    flags = ["-std=c99", "-O1", "-pedantic", "-Wall", "-Wextra", "-Wconversion",
             "-Wsign-conversion", "-Wshadow", "-Wdouble-promotion", "-Wfloat-conversion",
             "-Wno-overlength-strings", "-Werror"]
    steps = [[cc, "-std=c99", "-O1", "-w", main, source, "-o", program, "-lm"]]
    if not to_object:
        steps[0][-4] = os.path.join(folder, "strict.o")
        steps.insert(0, [cc, *flags, "-c", source, "-o", steps[0][-4]])
    for step in steps:
        done = harness.run(step, timeout=300)
        if done.returncode != 0:
            raise harness.Failure(f"{cc} failed: {done.stderr.strip()[:400]}")
    done = harness.run([program])
    if done.returncode != 0:
        raise harness.Failure(f"the program exited with {done.returncode}")
    return [line.split(",")[:-1] for line in done.stdout.splitlines()]


def plain(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


def match_columns(outputs, names):
    """The output that each expected column is about: by name; one without is the result
    itself, the first output, unless other columns have their names."""
    found = {}
    for test in (lambda f, name: f.name == name, lambda f, name: plain(f.name) == plain(name)):
        for name in names:
            for i, f in enumerate(outputs):
                if name not in found and test(f, name):
                    found[name] = i
    rest = [name for name in names if name not in found]
    if not found or "prediction" in rest:
        classes = [i for i, f in enumerate(outputs) if f.kind == "category"]
        found["prediction" if "prediction" in rest else rest[0]] = (classes or [0])[0]
    return found


def is_equal(field, got, want):
    if field.kind == "category":
        code = int(got)
        if code < 0 or code >= len(field.labels):
            return want in MISSING
        return field.labels[code] == want or same_number(field.labels[code], want)
    value = float(got)
    if want in MISSING or math.isnan(value):
        return want in MISSING and math.isnan(value)
    want_value = float(want)
    return abs(value - want_value) <= 1e-5 * abs(want_value) + 1e-13


def check_rows(outputs, got, expected, must_have_all):
    expected = [[x.strip() for x in row] for row in expected]
    names = expected[0]
    if len(got) != len(expected) - 1:
        raise harness.Failure(f"{len(got)} rows instead of {len(expected) - 1}")
    wrong, first = 0, None
    columns = match_columns(outputs, names)
    lost = [name for name in names if name not in columns]
    if lost and must_have_all:
        raise harness.Failure(f"there is no output '{lost[0]}'")
    for r, want in enumerate(expected[1:]):
        for name, text in zip(names, want):
            k = columns.get(name)
            if k is not None and not is_equal(outputs[k], got[r][k], text):
                wrong += 1
                label = outputs[k].labels
                show = got[r][k]
                if label and 0 <= int(show) < len(label):
                    show = label[int(show)]
                first = first or f"row {r + 1}, '{name}': {show}, not {text}"
    if wrong:
        raise harness.Failure(f"{wrong} values of {len(got)} rows differ: {first}")


def run_case(args, folder):
    model = os.path.join(folder, "model.pmml")
    inputs, outputs = fields_of(args, model)
    rows = read_csv(os.path.join(folder, "input.csv"))
    expected = read_csv(os.path.join(folder, "expected.csv"))
    if args.rows:
        rows, expected = rows[:args.rows + 1], expected[:args.rows + 1]
    for cc in args.cc:
        for to_object in ([False, True] if cc == args.cc[0] and not args.no_object else [False]):
            with tempfile.TemporaryDirectory() as scratch:
                got = run_rows(args, model, cc, to_object, rows, inputs, outputs, scratch)
            check_rows(outputs, got, expected, folder.startswith(HERE))


def cases_of(args):
    places = [os.path.join(HERE, "pmml"), args.shared]
    found = []
    for place in places:
        if os.path.isdir(place):
            found += [os.path.join(place, name) for name in sorted(os.listdir(place))
                      if os.path.exists(os.path.join(place, name, "model.pmml"))]
    return [c for c in found if not args.case or re.search(args.case, c)]


def main():
    shared = os.path.normpath(os.path.join(HERE, "..", "..", "..", "shared", "pmml"))
    if not os.path.isdir(shared):
        shared = os.path.normpath(os.path.join(HERE, "..", "..", "..", "..", "shared", "pmml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mcc", required=True)
    parser.add_argument("--cc", action="append", help="a C compiler; may be repeated")
    parser.add_argument("--shared", default=shared, help="the folder with the cases")
    parser.add_argument("--case", help="only cases whose path matches")
    parser.add_argument("--rows", type=int, help="only so many rows of each")
    parser.add_argument("--no-object", action="store_true")
    args = parser.parse_args()
    args.cc = args.cc or ["cc"]
    passed = refused = failed = 0
    for case in cases_of(args):
        name = os.path.basename(case)
        try:
            run_case(args, case)
            passed += 1
        except harness.Unsupported as e:
            refused += 1
            print(f"refused {name}: {e}")
        except harness.Failure as e:
            if name in WRONG:
                print(f"differs {name}, as it should: {WRONG[name]}")
                passed += 1
                continue
            failed += 1
            print(f"FAILED  {name}: {e}")
    print(f"{passed} passed, {refused} refused, {failed} failed")
    if passed + refused + failed == 0:
        return 77
    return 1 if failed or refused * 20 > passed + refused + failed else 0


if __name__ == "__main__":
    sys.exit(main())
