"""Writes OpenVINO IR for tests: an .xml with layers and edges, and its .bin.

    m = Ir()
    x = m.parameter("x", np.float32, [1, 4])
    y = m.layer("Relu", [x])
    m.result(y)
    m.save(folder)

A value is (layer, port, dtype, shape); the type and shape of what a layer makes are only
notes in the file and may be left out.
"""
import os
from xml.sax.saxutils import quoteattr

import numpy as np

ELEMENTS = {"float32": ("f32", "FP32"), "float16": ("f16", "FP16"), "float64": ("f64", "FP64"),
            "int8": ("i8", "I8"), "uint8": ("u8", "U8"), "int16": ("i16", "I16"),
            "uint16": ("u16", "U16"), "int32": ("i32", "I32"), "uint32": ("u32", "U32"),
            "int64": ("i64", "I64"), "uint64": ("u64", "U64"), "bool": ("boolean", "BOOL")}


def element(dtype):
    return ELEMENTS[np.dtype(dtype).name]


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, np.ndarray)):
        return ",".join(text(v) for v in value)
    if isinstance(value, (float, np.floating)):
        return repr(float(value))
    return str(value)


class Ir:
    def __init__(self, name="m", version=11, data=None):
        self.name, self.version = name, version
        self.data = bytearray() if data is None else data  # bodies share their model's
        self.layers, self.edges = [], []

    def layer(self, kind, inputs=(), outputs=1, opset=1, name=None, names=None, inner="",
              dtypes=(), **data):
        """The outputs of a new layer: one value, or a list of them when there are several."""
        number = len(self.layers)
        attributes = "".join(f" {k.replace('__', '-')}={quoteattr(text(v))}"
                             for k, v in data.items() if v is not None)
        out = [f'<layer id="{number}" name={quoteattr(name or f"{kind}_{number}")} '
               f'type="{kind}" version="opset{opset}">']
        if attributes:
            out.append(f"<data{attributes}/>")
        if inputs:
            out.append("<input>" + "".join(f'<port id="{i}"/>' for i in range(len(inputs)))
                       + "</input>")
        ports = range(len(inputs), len(inputs) + outputs)
        if outputs:
            out.append("<output>")
            for k, i in enumerate(ports):
                more = f' names={quoteattr(names)}' if names else ""
                if k < len(dtypes):
                    more += f' precision="{element(dtypes[k])[1]}"'
                out.append(f'<port id="{i}"{more}/>')
            out.append("</output>")
        out.append(inner + "</layer>")
        self.layers.append("".join(out))
        for i, value in enumerate(inputs):
            if value is not None:
                self.edges.append((value[0], value[1], number, i))
        made = [(number, i) for i in ports]
        return made[0] if len(made) == 1 else made

    def parameter(self, name, dtype, shape, names=None):
        return self.layer("Parameter", name=name, names=names, element_type=element(dtype)[0],
                          shape=shape)

    def const(self, array, kind=None, shape=None):
        """`kind` is an element type whose packed bytes the array has."""
        array = np.asarray(array)
        while len(self.data) % 8:
            self.data.append(0)
        offset = len(self.data)
        self.data += array.tobytes()
        return self.layer("Const", element_type=kind or element(array.dtype)[0],
                          shape=list(array.shape) if shape is None else shape, offset=offset,
                          size=array.nbytes)

    def ints(self, *values, dtype=np.int64):
        return self.const(np.array(values, dtype))

    def result(self, value, name=None):
        self.layer("Result", [value], outputs=0, name=name)
        return len(self.layers) - 1

    def body(self, tag="body"):
        edges = "".join(f'<edge from-layer="{a}" from-port="{b}" to-layer="{c}" to-port="{d}"/>'
                        for a, b, c, d in self.edges)
        return (f"<{tag}><layers>\n" + "\n".join(self.layers) + f"\n</layers><edges>{edges}"
                f"</edges></{tag}>")

    def xml(self):
        tag = f'net name={quoteattr(self.name)} version="{self.version}"'
        return '<?xml version="1.0"?>\n' + self.body("net").replace("<net>", f"<{tag}>", 1)

    def save(self, folder, stem="model"):
        path = os.path.join(folder, stem + ".xml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.xml())
        with open(os.path.join(folder, stem + ".bin"), "wb") as f:
            f.write(self.data)
        return path
