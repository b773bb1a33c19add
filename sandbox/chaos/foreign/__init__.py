"""Writers that streamback does not know, in both systems, with a history like that of every client."""
