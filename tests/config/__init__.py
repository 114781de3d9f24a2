"""The configuration file: read, checked, kept, replaced while the program runs."""
