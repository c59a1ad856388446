"""Integer graph + geometry → program."""
