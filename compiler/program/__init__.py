"""What the compiler makes and a board installs: the program, its file, its layouts and records."""
