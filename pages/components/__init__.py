"""What pages share: who is asking, the one cache, charts and small pieces."""
