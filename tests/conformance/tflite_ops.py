#!/usr/bin/python3
"""Runs the single-operator models of ../shared/tflite_ops as tflite_models.py does:
every output must be that of the reference kernels, bit for bit."""
import sys

import tflite_models

sys.dont_write_bytecode = True

if __name__ == "__main__":
    sys.exit(tflite_models.main("../../../shared/tflite_ops"))
