"""The shop's own functions, in its own manner. None imports another, since each is deployed as one file."""
