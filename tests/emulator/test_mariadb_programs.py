"""Where MariaDB comes from, on machines that have it, have it unpacked, or cannot get it."""

from __future__ import annotations

import pytest
from machines import program

from sandbox.database.mariadb_programs import locate
from sandbox.errors import SandboxError


def test_a_server_on_the_path_is_taken(machine, tmp_path):
    program(machine / "mariadbd")
    assert locate(tmp_path / "cache").server == machine / "mariadbd"
    assert not (tmp_path / "cache").exists()


def test_an_unpacked_server_is_taken_with_its_own_libraries(machine, tmp_path):
    root = tmp_path / "cache" / "mariadb"
    program(root / "usr" / "sbin" / "mariadbd")
    (root / "usr" / "lib" / "x86_64-linux-gnu").mkdir(parents=True)
    found = locate(tmp_path / "cache")
    assert found.base == root / "usr"
    assert found.environment["LD_LIBRARY_PATH"] == str(root / "usr" / "lib" / "x86_64-linux-gnu")


def test_a_machine_without_packages_gets_a_message_what_to_install(machine, tmp_path):
    with pytest.raises(SandboxError, match=r"no apt-get.*apt-get install mariadb-server"):
        locate(tmp_path / "cache")


def test_what_apt_says_is_reported_when_it_brings_nothing(machine, tmp_path):
    program(machine / "apt-get", "echo 'E: no network here' >&2; exit 100")
    program(machine / "dpkg")
    with pytest.raises(SandboxError, match="no network here"):
        locate(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]
