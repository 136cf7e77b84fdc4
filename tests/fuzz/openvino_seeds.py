#!/usr/bin/python3
"""Writes the seed corpus of the OpenVINO fuzz target: models that reach every reader, and
damaged ones.  A seed is the XML, a byte 0, and the .bin.  Usage: openvino_seeds.py FOLDER"""
import os
import re
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "conformance"))
import openvino_made
from openvino_file import Ir

folder = sys.argv[1]


def save(name, xml, data=b""):
    with open(os.path.join(folder, name), "wb") as f:
        f.write(xml.encode() + b"\0" + bytes(data))


def made():
    """One case of each kind that openvino_made.py has."""
    seen = set()
    for make in openvino_made.MAKERS:
        for case in make(np.random.default_rng(1)):
            words = re.findall(r"[a-z]+[-0-9]*", case.name.lower())
            name = "_".join(words[:4])
            size = len(case.ir.xml()) + len(case.ir.data)
            if name not in seen and size < 12000:
                seen.add(name)
                save(name, case.ir.xml(), case.ir.data)


def net(layers, edges, version=11):
    edges = "".join('<edge from-layer="%d" from-port="%d" to-layer="%d" to-port="%d"/>' % e
                    for e in edges)
    return f'<net name="n" version="{version}"><layers>{layers}</layers><edges>{edges}</edges></net>'


X = ('<layer id="0" name="x" type="Parameter" version="opset1"><data element_type="f32" '
     'shape="1,4"/><output><port id="0"/></output></layer>')
Y = '<layer id="9" name="y" type="Result" version="opset1"><input><port id="0"/></input></layer>'


def const(data):
    return (f'<layer id="1" name="c" type="Const" version="opset1"><data {data}/><output>'
            '<port id="0"/></output></layer>')


def loop(kind, ins, outs, attributes=""):
    ports = "".join(f'<port id="{i}"/>' for i in range(ins))
    results = "".join(f'<port id="{ins + i}"/>' for i in range(outs))
    return (f'<layer id="2" name="op" type="{kind}" version="opset1"><data {attributes}/><input>'
            f'{ports}</input><output>{results}</output></layer>')


def hostile():
    one = const('element_type="f32" shape="1,4" offset="0" size="16"')
    add = loop("Add", 2, 1)
    edges = [(0, 0, 2, 0), (1, 0, 2, 1), (2, 2, 9, 0)]
    save("cycle", net(X + Y + loop("Add", 2, 1), [(0, 0, 2, 0), (2, 2, 2, 1), (2, 2, 9, 0)]))
    save("twice", net(X + X + Y, [(0, 0, 9, 0)]))
    save("no_port", net(X + Y, [(0, 7, 9, 0)]))
    save("version", net(X + Y, [(0, 0, 9, 0)], 7))
    save("short_bin", net(X + one + add + Y, edges), b"123")
    for name, data in (
            ("offset", 'element_type="f32" shape="1,4" offset="18446744073709551615" size="16"'),
            ("offset_end", 'element_type="f32" shape="1,4" offset="9223372036854775807" size="16"'),
            ("size", 'element_type="f32" shape="1,4" offset="0" size="9223372036854775807"'),
            ("size_small", 'element_type="f32" shape="1,4" offset="0" size="1"'),
            ("shape_huge", 'element_type="u8" shape="2147483647,2147483647,1" offset="0" size="1"'),
            ("shape_negative", 'element_type="f32" shape="1,-4" offset="0" size="16"'),
            ("shape_deep", 'element_type="f32" shape="1,1,1,1,1,1,1,1,1" offset="0" size="4"'),
            ("type", 'element_type="nf4" shape="1,4" offset="0" size="16"'),
            ("nibbles", 'element_type="i4" shape="1,5" offset="0" size="3"')):
        save("const_" + name, net(X + const(data) + add + Y, edges), bytes(range(16)))
    save("entity", '<!DOCTYPE net [<!ENTITY a "b">]>' + net(X + Y, [(0, 0, 9, 0)]))
    save("deep", '<net version="11">' + "<a>" * 2000)
    save("unknown", net(X + loop("NonMaxSuppression", 1, 1) + Y, [(0, 0, 2, 0), (2, 1, 9, 0)]))
    save("cut", net(X + one + add + Y, edges)[:200])
    nested = X + Y
    for i in range(25):
        nested = X + (f'<layer id="2" name="t" type="TensorIterator" version="opset1"><input>'
                      '<port id="0"/></input><output><port id="1"/></output><port_map><input '
                      'external_port_id="0" internal_layer_id="0" axis="1"/><output '
                      'external_port_id="1" internal_layer_id="9" axis="1"/></port_map>'
                      f'<body><layers>{nested}</layers><edges><edge from-layer='
                      + ('"2" from-port="1" ' if i else '"0" from-port="0" ') +
                      'to-layer="9" to-port="0"/>' +
                      ('<edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>' if i else
                       "") + '</edges></body></layer>') + Y
    save("nested", net(nested, [(0, 0, 2, 0), (2, 1, 9, 0)]))


made()
hostile()
