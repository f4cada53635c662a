"""Turns an fp32 graph into a static int8 one (QDQ, weights by channel), by onnxruntime.quantization.

    python quantise.py MODEL.onnx TENSORS SHAPE INPUT OUT.onnx [OP ...]

TENSORS: raw uint8 of SHAPE (N,H,W,3), what the model is calibrated with, exactly as the pipeline would hand it over.
OP: operator types to be quantised; the rest (decoding of boxes, softmax) stays in floats.
"""
import os
import sys
import tempfile

import numpy
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Tensors(CalibrationDataReader):
    """One row at a time: the activations of all of them would not fit into memory at once."""

    def __init__(self, name, rows):
        self.name, self.rows, self.at = name, rows, 0

    def get_next(self):
        if self.at == len(self.rows):
            return None
        self.at += 1
        print(f"calibrated {self.at}/{len(self.rows)}", flush=True)
        return {self.name: self.rows[self.at - 1 : self.at]}


def main():
    model, tensors, shape, name, out, *ops = sys.argv[1:]
    rows = numpy.fromfile(tensors, dtype=numpy.uint8).reshape([int(n) for n in shape.split(",")])
    with tempfile.TemporaryDirectory() as folder:
        # Folds batch normalisation into the convolutions first: quantised one by one, both would lose.
        prepared = os.path.join(folder, "prepared.onnx")
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            out,
            Tensors(name, rows),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=ops or None,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    if not any(node.op_type == "QuantizeLinear" for node in onnx.load(out).graph.node):
        sys.exit(f"nothing was quantised: the graph has no operator of these types: {', '.join(ops) or 'any'}")


main()
