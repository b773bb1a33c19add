"""What can go wrong on the road, a file for each place where it shows; preflight puts them together."""
