"""Matches faces with enrolled people, and looks at photographs for whoever enrols or asks.

It holds nothing that the control plane could not give it again. The flow: `feed` follows the
enrolled faces by list-then-watch and hands every change to `search_loop`, whose one thread owns the
`faiss_gallery`; `servicer` asks that loop for the people closest to an embedding, and `photographs`
for the faces of a picture. `embeddings` is the gate that every vector passes on its way in;
`assembly` wires it all.
"""
