"""What a worker has to report and nobody has confirmed yet, safe against the end of its process.

``spool`` is what the rest of the worker sees: reports in, batches out, on the event loop. Behind it
``store`` keeps them in one SQLite file, on a thread of its own; ``files`` knows the folder, and
``model`` the values between them.
"""
