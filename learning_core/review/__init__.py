"""How experts judge examples: the queue, the judgements, and how far the judges agree."""
