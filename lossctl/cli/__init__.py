"""The command line: each command parses, calls the core and prints; one module per command."""
