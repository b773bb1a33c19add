"""What a text of SQL holds: how many statements, whether one of them has a body of several, and whether it is DDL."""

import re

# Quoted text and comments: what stands in them is not SQL.
QUOTED = r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`|--[ \t][^\n]*|\#[^\n]*|/\*.*?\*/"""
_QUOTED = re.compile(QUOTED, re.DOTALL)
_STORED = re.compile(
    r"\s*CREATE\s+(OR\s+REPLACE\s+)?(DEFINER\s*=\s*\S+\s+)?(PROCEDURE|FUNCTION|TRIGGER|EVENT)\b", re.IGNORECASE
)
_BODY = re.compile(r";\s*\S|\bBEGIN\b", re.IGNORECASE)
_SEVERAL = re.compile(r";\s*\S")
# What ends a transaction: https://dev.mysql.com/doc/refman/8.0/en/implicit-commit.html
_DDL = re.compile(r"\s*(ALTER|CREATE|DROP|GRANT|RENAME|REVOKE|TRUNCATE)\b", re.IGNORECASE)


def is_compound(text: str) -> bool:
    """Whether it makes a trigger, procedure, function or event with a body of statements."""
    bare = _bare(text)
    return bool(_STORED.match(bare) and _BODY.search(bare))


def has_several(text: str) -> bool:
    """Whether it is several statements. A body of several is one."""
    bare = _bare(text)
    return not _STORED.match(bare) and bool(_SEVERAL.search(bare))


def is_ddl(text: str) -> bool:
    return bool(_DDL.match(_bare(text)))


def _bare(text: str) -> str:
    """The text without what is quoted: a space stands for a comment, a quote for a quoted text."""
    return _QUOTED.sub(lambda found: "'" if found[0][0] in "'\"`" else " ", text)
