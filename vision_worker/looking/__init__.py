"""What people see of a camera: its pictures with faces, names and zones drawn in, while they look.

The pipeline hands each sampled frame to ``onlookers`` while there are any, and knows no more of
them; ``drawing`` makes pictures of scenes, in the thread of ``picture_thread``. The servicer hands
them out.
"""
