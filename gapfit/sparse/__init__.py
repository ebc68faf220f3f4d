"""Choice of the sparse points."""
