"""Finds faces in pictures and turns each into a vector that can be compared.

A library shared by the vision worker and the identity index. It knows pictures, model packs and
ONNX sessions; it knows nothing of cameras, people or gRPC. Start reading at `engine.py` (one loaded
pack at work), then `packs.py` (what a pack is) and `preparation.py` (how its files come to be).
"""

import os

# The published builds of ONNX Runtime report to their maker from the moment they are imported, and
# keep an identifier of the machine on disk. This alone turns all of it off, and only before that
# import, so it stands where nothing of this library can be reached without it. Whatever the
# environment said: nothing leaves the machine. Source: Privacy.md in the onnxruntime wheel.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
