"""What cameras show, handed on from their workers to people; the manager itself sees no face.

``servicer`` finds the worker and speaks with people, ``worker_pictures`` with the worker,
``multipart`` knows how browsers want a stream of pictures, and ``look_records`` has each look
written down by the control plane before anything is shown.
"""
