"""Other people's test suites, run unchanged on dhagas: ``python -m compat``.  README.md says how."""
