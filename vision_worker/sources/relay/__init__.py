"""The lines to cameras: judged addresses, credentials, and what libav is given in place of them."""
