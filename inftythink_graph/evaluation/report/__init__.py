"""Reports of an evaluation, computed from its records alone."""
