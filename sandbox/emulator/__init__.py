"""MiniStack with its gaps towards AWS filled, one gap a file.

Each file's first paragraph says what AWS does, what MiniStack lacks and when the file can go; each has an `install()`.

MiniStack has no types that a strict check could use, so the files that reach into it are checked in basic mode.
"""
