"""Finds faces in pictures and turns each into a vector that can be compared.

A library shared by the vision worker and the identity index. It knows pictures, model packs and
ONNX sessions; it knows nothing of cameras, people or gRPC. Start reading at `engine.py` (one loaded
pack at work), then `packs.py` (what a pack is) and `preparation.py` (how its files come to be).
"""
