"""The tests of epnet.wire."""
