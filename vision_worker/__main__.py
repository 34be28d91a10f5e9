"""``python -m vision_worker``: watches one camera."""

import sys

from service_runtime.lifecycle import run_service
from vision_worker.assembly import run_worker

if __name__ == "__main__":
    sys.exit(run_service("vision_worker", run_worker))
