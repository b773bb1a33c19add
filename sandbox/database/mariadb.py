"""MariaDB, the sandbox's default: in the archives of every Debian and Ubuntu, and up in under a second."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from sandbox.database.database_server import DatabaseServer, last_lines, user
from sandbox.database.mariadb_programs import HELP, locate
from sandbox.database.programs import Programs
from sandbox.errors import SandboxError

SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
    "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
)


class MariaDB(DatabaseServer):
    title = "MariaDB"
    options = (
        "--skip-name-resolve",
        "--skip-log-bin",
        "--log-bin-trust-function-creators=1",
        "--performance-schema=OFF",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_unicode_520_ci",
        "--transaction-isolation=REPEATABLE-READ",
        "--default-time-zone=+00:00",
        f"--sql-mode={SQL_MODE}",
        "--innodb-autoinc-lock-mode=2",  # Aurora MySQL 3's default
        "--innodb-flush-log-at-trx-commit=1",  # an acknowledged commit survives kill -9
        "--innodb-buffer-pool-size=128M",
        "--max-connections=400",
        "--max-allowed-packet=64M",
    )

    def fetch(self) -> Programs:
        return locate(self.cache)

    def _initialise(self, programs: Programs) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir()
        command = [
            str(self._script(programs)),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--basedir={programs.base}",
            "--auth-root-authentication-method=normal",
            "--force",  # a minimal machine may not know its own name
            "--skip-test-db",
            *user(),
        ]
        done = subprocess.run(command, env=programs.environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            shutil.rmtree(self._data, ignore_errors=True)
            raise SandboxError(f"MariaDB could not make its data: {last_lines(done.stdout + done.stderr, 8)}")

    @staticmethod
    def _script(programs: Programs) -> Path:
        for folder in (programs.base / "bin", programs.base / "scripts"):
            for name in ("mariadb-install-db", "mysql_install_db"):
                if (folder / name).is_file():
                    return folder / name
        raise SandboxError(f"{programs.base} has mariadbd but not mariadb-install-db. {HELP}")
