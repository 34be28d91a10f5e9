"""Labelled clips of people who are seen badly first and well once: the worker's hardest usual day.

`portraits.py` takes faces out of the photographs among the test media, `scenes.py` paints clips
with them, `watching.py` runs a clip through the worker's own pipeline and counts who was named.
`bench/best_shot.py` runs all of them, a test some.
"""
