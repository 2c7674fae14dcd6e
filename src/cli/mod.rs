//! The command line: arguments → pipeline → output and exit code.
