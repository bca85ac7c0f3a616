"""Afterglow's learning core: what users say about an agent becomes a better agent, and the proof of it.

The story, in the order in which the tree, the tables, the pages and the routes tell it::

    execution   an agent answers a request                        feedback.executions
    feedback    a user reacts to the answer                       feedback.collect
    example     a reaction worth learning from                    feedback.examples

What was said is read as metrics with their intervals, as trends, as issues and as themes
(``feedback.metrics``, ``trends``, ``themes``). ``demo`` lets a simulated story happen by the same path.

Beneath the story lie ``settings`` and ``errors``, ``schema`` (the tables), ``embedded`` (the database that
comes along), ``db`` (the only place that begins and commits), ``jobs`` (background work), ``access`` (who
may do what) and ``throttle`` (how often). In front of it stand three doors: ``api`` (agents and widgets),
``cli`` (operators; ``serving`` starts everything, ``diagnosis`` examines it) and the Streamlit ``pages``
(people), all behind the ``perimeter``.

Glossary
    organisation    the tenant; every row but the list of organisations belongs to one
    member          a person in an organisation, with a role: viewer, expert, engineer, admin
    agent           what is being improved; the caller names it by a text key ("tax-advisor")
    key             a caller's own text id of an agent, an execution or a piece of feedback
    execution       one request to an agent and the answer it served
    feedback        one person's reaction to one execution: thumbs, stars, issues, comment, correction
    scale           what stars are given for: rating (overall), accuracy, helpfulness, clarity, completeness
    issue category  incorrect, incomplete, unclear, hallucination, outdated, formatting, tone, other
    theme           a phrase that marks bad comments off from good ones
    roll-up         counts per agent, day and prompt version, kept exact by the write path
    example         an input with an expected output, waiting for an expert's review
    API key         what lets an agent in: an organisation, a role, an expiry; only its hash is stored
    widget token    what lets a browser in: a signed, short-lived right to rate one execution
"""
