"""Turn the weights inside pinned packages into ONNX models, without running any of their code."""
