"""Where MySQL comes from, on machines that have it, have it unpacked, can fetch it, or cannot get it."""

from __future__ import annotations

import pytest
from machines import program

from sandbox.database.mysql_programs import locate
from sandbox.errors import SandboxError

SERVER = "usr/sbin/mysqld"
LOADER = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
# An apt-get whose own sources are Debian's and lack the server, which the unstable suite has. It writes archives where
# its options say, and remembers the source that it read.
APT = """
for word; do
    case "$word" in
        Dir::Cache=*) cache=${word#Dir::Cache=} ;;
        Dir::Etc::sourcelist=*) source=${word#Dir::Etc::sourcelist=} ;;
        indextargets) printf '%s\\n' 'Debian|Debian-Security|https://mirror.test/security/' \
            'Debian|Debian|https://mirror.test/debian/'; exit 0 ;;
        update) exit 0 ;;
    esac
done
[ -n "$source" ] || { echo 'E: Unable to locate package' >&2; exit 100; }
read -r line < "$source"
echo "$line" > "$SOURCES"
: > "$cache/archives/mysql-server-core_9_amd64.deb"
: > "$cache/archives/perl-modules_5_all.deb"
"""
DPKG = f"""
case "$2" in *perl*) exit 1 ;; esac
/bin/mkdir -p "$3/usr/sbin" "$3/usr/lib/x86_64-linux-gnu"
: > "$3/{SERVER}"
: > "$3/{LOADER}"
"""


@pytest.mark.parametrize("version", ["8.0.45 for Linux", "9.7.4 for Linux", "10.1.0 for Linux"])
def test_oracles_server_on_the_path_is_taken(machine, tmp_path, version):
    program(machine / "mysqld", f"echo '/usr/sbin/mysqld  Ver {version}'")
    assert locate(tmp_path / "cache").command == [str(machine / "mysqld")]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("version", ["10.11.6-MariaDB-1 for Linux", "5.7.44 for Linux"])
def test_mariadbs_server_and_an_old_one_are_not_taken(machine, tmp_path, version):
    program(machine / "mysqld", f"echo 'mysqld  Ver {version}'")
    with pytest.raises(SandboxError, match=r"no apt-get.*put Oracle's mysqld.*--database mariadb"):
        locate(tmp_path / "cache")


def test_an_unpacked_server_is_started_by_its_own_loader(machine, tmp_path):
    root = tmp_path / "cache" / "mysql"
    program(root / SERVER)
    program(root / LOADER)
    found = locate(tmp_path / "cache")
    libraries = str(root / "usr/lib/x86_64-linux-gnu")
    assert found.command == [str(root / LOADER), "--library-path", libraries, str(root / SERVER)]
    assert "LD_LIBRARY_PATH" not in found.environment


def test_debians_unstable_suite_is_read_at_the_address_of_the_machines_own_sources(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCES", str(tmp_path / "read"))
    program(machine / "apt-get", APT)
    program(machine / "dpkg", DPKG)
    cache = tmp_path / "cache"
    assert locate(cache).server == cache / "mysql" / SERVER
    kind, *_, uri, suite, part = (tmp_path / "read").read_text().split()
    assert (kind, uri, suite, part) == ("deb", "https://mirror.test/debian/", "sid", "main")
    assert sorted(path.name for path in cache.iterdir()) == ["lock", "mysql"]


def test_what_apt_says_is_reported_when_it_brings_no_server(machine, tmp_path):
    program(machine / "apt-get", "echo 'E: no network here' >&2; exit 100")
    with pytest.raises(SandboxError, match="no network here"):
        locate(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]
