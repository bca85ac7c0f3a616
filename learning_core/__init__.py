"""Afterglow's learning core: what users say about an agent becomes a better agent, and the proof of it.

The story, in the order in which the tree, the tables, the pages and the routes tell it::

    execution   an agent answers a request                        feedback.executions
    feedback    a user reacts to the answer                       feedback.collect
    example     a reaction worth learning from                    feedback.examples
    annotation  an expert judges the example                      review
    dataset     approved examples, frozen and split               datasets

What was said is read as metrics with their intervals, as trends, as issues and as themes
(``feedback.metrics``, ``trends``, ``themes``). In ``review``, the ``queue`` hands out examples by
``priority``, ``annotations`` stores what experts decide, ``verdicts`` says what it comes to and
``settlement`` makes it so; ``agreement`` says how far experts agree, from ``tallies`` of what they said, and
``bootstrap`` how well that is known. In ``datasets``, ``curation`` holds the rules, ``selection`` follows
them, ``splits`` keeps what is alike together, ``versions`` freezes, ``exports`` hands out. ``demo`` lets a
simulated story happen by the same path.

Beneath the story lie ``settings`` and ``errors``, ``schema`` (the tables), ``embedded`` (the database that
comes along), ``db`` (the only place that begins and commits), ``jobs`` (background work), ``access`` (who
may do what), ``throttle`` (how often) and ``rowfiles`` (files of rows). In front of it stand three doors:
``api`` (agents and widgets), ``cli`` (operators; ``serving`` starts everything, ``diagnosis`` examines it)
and the Streamlit ``pages`` (people), all behind the ``perimeter``.

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
    example         an input with an expected output, which review approves, rejects or sends back
    queue, lease    what waits for judgement, the most valuable first; one person's hold on an example
    annotation      what an expert says of an example: scores 0-1, notes, a corrected output, a decision
    judgement       an annotation with a decision: approve, needs revision, reject; or a or b of a preference
    overlap         how many people judge an example without seeing each other's judgement
    disputed        judged differently, without a majority; one more person adjudicates
    gold item       an example whose right decision is known; it measures those who judge it
    quality score   the weighted mean (0-1) of the scores of those who approved an example
    human-verified  approved by somebody who did not write the expected output
    agreement       how often annotators say the same of the same example; beyond chance: kappa, alpha
    demonstration   an example in which an expert shows a task step by step
    dataset         a named set of approved examples; a version of it never changes
    split           train, validation or test; what is alike is in the same one
    proposal        a next version that the weekly look found worth freezing
    API key         what lets an agent in: an organisation, a role, an expiry; only its hash is stored
    widget token    what lets a browser in: a signed, short-lived right to rate one execution
"""
