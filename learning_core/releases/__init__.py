"""Prompt versions on their way to all traffic, stage by stage, and back."""
