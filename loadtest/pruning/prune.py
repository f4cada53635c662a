"""Sets a share of the weights of a graph to zero: of each output channel of each operator the smallest (magnitude pruning, Han et al., 2015).

By channel, since batch normalisation is folded into the weights: channels of a small scale would lose all of theirs.

    python prune.py MODEL.onnx SHARE OUT.onnx

Prints how many weights there were, and how many are zero now.
"""
import sys

import numpy
import onnx
from onnx import numpy_helper


def channels(node):
    """Which axis of the operator's weights its output channels are, or None for another operator."""
    if node.op_type == "Gemm":
        return 0 if any(each.name == "transB" and each.i for each in node.attribute) else 1
    return {"Conv": 0, "MatMul": -1}.get(node.op_type)


path, share, out = sys.argv[1], float(sys.argv[2]), sys.argv[3]
model = onnx.load(path)
axes = {node.input[1]: channels(node) for node in model.graph.node if channels(node) is not None}
total = zeros = 0
for tensor in model.graph.initializer:
    if tensor.name not in axes:
        continue
    values = numpy.moveaxis(numpy_helper.to_array(tensor).copy(), axes[tensor.name], 0)
    rows = values.reshape(len(values), -1).copy()
    sizes = numpy.abs(rows)
    rows[sizes <= numpy.quantile(sizes, share, axis=1, keepdims=True)] = 0
    values = numpy.moveaxis(rows.reshape(values.shape), 0, axes[tensor.name])
    tensor.CopyFrom(numpy_helper.from_array(numpy.ascontiguousarray(values), tensor.name))
    total, zeros = total + values.size, zeros + int((values == 0).sum())
onnx.save(model, out)
print(total, zeros)
