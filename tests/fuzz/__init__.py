"""Coverage-guided fuzzing of epnet.wire; CONTRIBUTING says how to run it."""
