"""Language models: prompts as templates, calls that are stored before they are made, and what they may cost.

Nothing here holds a session of the database open while a model answers.
"""
