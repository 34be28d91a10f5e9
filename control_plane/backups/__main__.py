"""``python -m control_plane.backups FOLDER --data-dir DIR``: restores a backup, offline.

`dfip backup restore` runs it. The address of a PostgreSQL database comes from DFIP_DATABASE_URL,
where no process list shows it. Prints one line of JSON.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import sys
from pathlib import Path

from control_plane.backups.ledger import LEDGER_FILE, read_ledger
from control_plane.backups.model import BackupError
from control_plane.backups.restore import Restore
from control_plane.encryption import VaultError
from control_plane.engines.port import DatabaseUnavailable
from control_plane.engines.postgres import PostgresUrlError
from control_plane.keys.master import MasterKeyFile
from service_runtime.clock import SystemClock
from service_runtime.secret import Secret
from service_runtime.structured_logging import configure_logging


def main() -> int:
    """Restore, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m control_plane.backups")
    parser.add_argument("backup", type=Path, help="folder of the backup")
    parser.add_argument("--data-dir", type=Path, required=True, help="data directory to make")
    parser.add_argument("--ledger", type=Path, help="list of erasures; else beside the backup")
    parser.add_argument("--master-key", type=Path, help="key file that the backup left out")
    asked = parser.parse_args()
    os.umask(0o077)
    configure_logging("restore", level="error")
    url, programs = os.environ.get("DFIP_DATABASE_URL"), os.environ.get("DFIP_POSTGRES_BIN_DIR")
    ledger = asked.ledger or asked.backup.parent / LEDGER_FILE
    try:
        if asked.master_key is not None:
            MasterKeyFile(asked.master_key).read()
        restored = asyncio.run(
            Restore(
                backup=asked.backup,
                data_dir=asked.data_dir,
                erased=read_ledger(ledger),
                master_key_file=asked.master_key,
                database_url=Secret(url) if url else None,
                postgres_bin_dir=Path(programs) if programs else None,
                clock=SystemClock(),
            ).run()
        )
    except (BackupError, VaultError, PostgresUrlError) as error:
        return _say(str(error))
    except DatabaseUnavailable as error:
        return _say(error.sentence)
    except OSError as error:
        return _say(f"{error.filename or asked.data_dir}: {error.strerror}")
    told = dataclasses.asdict(restored) | {
        "data_dir": str(restored.data_dir),
        "ledger": str(ledger) if ledger.exists() else None,
    }
    print(json.dumps(told))  # noqa: T201 - what the caller reads
    return 0


def _say(sentence: str) -> int:
    print(sentence, file=sys.stderr)  # noqa: T201 - for whoever started it
    return 1


if __name__ == "__main__":
    sys.exit(main())
