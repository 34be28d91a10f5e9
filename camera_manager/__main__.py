"""`python -m camera_manager` runs the camera manager."""

import sys

from camera_manager.assembly import run
from service_runtime.lifecycle import run_service

if __name__ == "__main__":
    sys.exit(run_service("camera_manager", run))
