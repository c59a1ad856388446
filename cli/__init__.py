"""The `intramix` command."""
