"""Sets a share of the weights of a graph to zero, the smallest of each operator (magnitude pruning, Han et al., 2015).

    python prune.py MODEL.onnx SHARE OUT.onnx

Prints how many weights there were, and how many are zero now.
"""
import sys

import numpy
import onnx
from onnx import numpy_helper

OPERATORS = {"Conv", "MatMul", "Gemm"}

path, share, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
model = onnx.load(path)
weights = {name for node in model.graph.node if node.op_type in OPERATORS for name in node.input[1:2]}
total = zeros = 0
for tensor in model.graph.initializer:
    if tensor.name not in weights:
        continue
    values = numpy_helper.to_array(tensor).copy()
    sizes = numpy.abs(values)
    values[sizes <= numpy.quantile(sizes, share)] = 0
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    total, zeros = total + values.size, zeros + int((values == 0).sum())
onnx.save(model, out)
print(total, zeros)
