"""Approved examples as frozen datasets: rules, selection, splits, versions, exports."""
