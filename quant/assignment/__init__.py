"""Which format each filter gets: a file a method."""
