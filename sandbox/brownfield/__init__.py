"""A shop that runs without streamback: a database, a table, functions and a REST API of its own making."""
