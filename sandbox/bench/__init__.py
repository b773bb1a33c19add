"""`make bench`: what streamback costs and how fast it is on this machine, as ratios of interleaved runs."""
