"""The views of the Review page: one module each."""
