"""A demo story to explore: ninety days of an accounting firm and its three agents, generated from a seed."""
