"""Pulumi's values on their way to the handlers and back."""

from __future__ import annotations

import io
import zipfile

from google.protobuf import struct_pb2

from sandbox.engine import values
from sandbox.engine.values import ARCHIVE, SECRET, SIGNATURE, Archive

ASSET = "c44067f5952c0a294b673a41bacd8c17"  # Pulumi's signature of an asset


def struct(**properties):
    found = struct_pb2.Struct()
    found.update(properties)
    return found


def test_whole_numbers_come_as_integers_and_nulls_as_absent():
    assert values.decode(struct(a=1, b=1.5, c=None, d=[2, {"e": 3, "f": None}])) == {
        "a": 1,
        "b": 1.5,
        "d": [2, {"e": 3}],
    }


def test_secrets_are_unwrapped_wherever_they_are():
    wrapped = {SIGNATURE: SECRET, "value": {"deep": [{SIGNATURE: SECRET, "value": "s"}]}}
    assert values.decode(struct(password=wrapped)) == {"password": {"deep": ["s"]}}


def test_what_the_program_asked_for_goes_back_as_it_came():
    asked = struct(password={SIGNATURE: SECRET, "value": "s"}, name="a")
    answer = values.encode({"password": "s", "name": "a", "arn": "arn:x"}, asked)
    assert answer["password"][SIGNATURE] == SECRET
    assert answer["arn"] == "arn:x"


def test_an_archive_is_read_from_text_files_and_folders(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "one.py").write_text("1")
    archive = {
        SIGNATURE: ARCHIVE,
        "assets": {
            "text.py": {SIGNATURE: ASSET, "text": "text"},
            "file.py": {SIGNATURE: ASSET, "path": str(tmp_path / "package" / "one.py")},
            "folder": {SIGNATURE: ARCHIVE, "path": str(tmp_path / "package")},
        },
    }
    code = values.decode(struct(code=archive))["code"]
    assert code.files == {"text.py": b"text", "file.py": b"1", "folder/one.py": b"1"}


def archive(**texts):
    return Archive({"assets": {name: {SIGNATURE: ASSET, "text": text} for name, text in texts.items()}})


def test_an_archive_with_a_hash_is_not_read_to_be_compared():
    assert Archive({"assets": {"gone.py": {SIGNATURE: ASSET, "path": "/gone.py"}}, "hash": "abc"}).digest == "abc"


def test_the_same_files_give_the_same_archive_in_any_order():
    one, other = archive(a="1", b="2"), archive(b="2", a="1")
    assert one.content == other.content
    assert one.digest != archive(a="1", b="3").digest
    assert zipfile.ZipFile(io.BytesIO(one.content)).read("b") == b"2"
