"""``python -m identity_index``: run the service until it is told to stop."""

import sys

from identity_index.assembly import serve
from service_runtime.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("identity_index", serve))
