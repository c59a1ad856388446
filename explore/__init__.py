"""Models of what a program and a geometry cost."""
