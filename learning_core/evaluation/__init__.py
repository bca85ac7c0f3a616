"""Offline evaluation: a prompt version scored on a dataset version, by a version of an evaluator."""
