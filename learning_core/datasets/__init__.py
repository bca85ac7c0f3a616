"""Approved examples as frozen datasets: curation, splits, versions, exports."""
