"""MySQL, which Aurora MySQL 3 is: with Aurora's defaults, where these differ from MySQL's own."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from sandbox.database.database_server import DatabaseServer, last_lines, user
from sandbox.database.mysql_programs import locate, version
from sandbox.database.programs import Programs, alone
from sandbox.errors import SandboxError

TEMPLATE = "mysql-data-"  # folders in the cache with the data of a server that was just made


class MySQL(DatabaseServer):
    title = "MySQL"
    made_with = (  # what the data depends on
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_0900_ai_ci",
        "--innodb-redo-log-capacity=64M",
    )
    options = (
        *made_with,
        "--skip-name-resolve",
        "--mysqlx=OFF",
        "--secure-file-priv=NULL",
        "--log-bin=binlog",  # in ROW format
        "--server-id=1",
        "--sync-binlog=0",  # what a killed server had written is in the file, also without a flush
        "--log-bin-trust-function-creators=0",
        "--performance-schema=OFF",
        "--transaction-isolation=REPEATABLE-READ",
        "--default-time-zone=+00:00",
        "--sql-mode=",  # Aurora's default: values that do not fit are cut
        "--innodb-autoinc-lock-mode=2",
        "--innodb-flush-log-at-trx-commit=1",  # an acknowledged commit survives kill -9
        "--innodb-buffer-pool-size=128M",
        "--max-connections=400",
        "--max-allowed-packet=64M",
    )

    def fetch(self) -> Programs:
        return locate(self.cache)

    def _initialise(self, programs: Programs) -> None:
        """Copy the data of the template, which takes a tenth of the time that making them takes."""
        template = self._template(programs)
        draft = self.folder / "data.draft"
        for folder in (draft, self._data):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, draft)
        (draft / "auto.cnf").unlink(missing_ok=True)  # the server's identity; it makes another
        draft.rename(self._data)

    def _template(self, programs: Programs) -> Path:
        kind = "\n".join((version(programs), *self.made_with))
        template = self.cache / f"{TEMPLATE}{hashlib.sha256(kind.encode()).hexdigest()[:12]}"
        with alone(self.cache):
            if not template.is_dir():
                with tempfile.TemporaryDirectory(dir=self.cache, prefix="draft-") as scratch:
                    self._make(programs, Path(scratch) / "data").rename(template)
        return template

    def _make(self, programs: Programs, data: Path) -> Path:
        command = [
            *programs.command,
            "--no-defaults",
            "--initialize-insecure",
            f"--basedir={programs.base}",
            f"--datadir={data}",
            *user(),
            *self.made_with,
        ]
        done = subprocess.run(command, env=programs.environment, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            raise SandboxError(f"MySQL could not make its data: {last_lines(done.stdout + done.stderr, 8)}")
        return data
