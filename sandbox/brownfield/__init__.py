"""A shop that runs without streamback: an Aurora cluster, a table, functions and a REST API of its own making."""
