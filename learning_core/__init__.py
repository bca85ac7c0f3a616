"""Afterglow's learning core: what users say about an agent becomes a better agent, and the proof of it.

The story, in the order in which the tree, the tables, the pages and the routes tell it::

    execution   an agent answers a request                        feedback.executions
    feedback    a user reacts to the answer                       feedback.collect
    example     a reaction worth learning from                    feedback.examples
    annotation  an expert judges the example                      review
    dataset     approved examples, frozen and split               datasets
    evaluation  a prompt version, scored on a dataset version     evaluation
    optimization  a better prompt, proven on sealed examples      prompts
    experiment  variants, compared on live traffic                experiments
    release     a version on its way to all traffic, and back     releases
    the same metric, measured again                               releases.ledger

What was said is read as metrics with their intervals, as trends, as issues and as themes
(``feedback.metrics``, ``trends``, ``themes``). In ``review``, the ``queue`` hands out examples by
``priority``, ``annotations`` stores what experts decide, ``verdicts`` says what it comes to and
``settlement`` makes it so; ``agreement`` says how far experts agree, from ``tallies`` of what they said, and
``bootstrap`` how well that is known. In ``datasets``, ``curation`` holds the rules, ``selection`` follows
them, ``splits`` keeps what is alike together, ``versions`` freezes, ``exports`` hands out. In ``evaluation``,
``checks`` say what one answer is worth, ``judge`` asks a model, ``safety`` forbids, ``scoring`` does it for
many. In ``prompts``, ``versions`` keeps what is in use, ``analysis`` says how it does, ``strategies`` propose
candidates from the ``evidence``, ``optimizer`` spends the calls, ``racing`` drops losers, ``verdict`` says
what was gained, ``runs`` does it in the background. In ``experiments``, ``assignment`` says who meets what,
``feedback.exposures`` counts what followed for each user, ``looks`` analyses it again and again, ``analysis``
says when it is known (with the ``statistics`` that ``simulation`` tries out in thousands, in the words of
``reports``), ``guardrails`` when it hurts. In ``releases``, ``routing`` answers which prompt a user
gets, ``stages`` decides what comes next, ``rollout`` does it and takes it back. ``demo`` lets a simulated
story happen by the same path.

Beneath the story lie ``settings`` and ``errors``, ``schema`` (the tables), ``embedded`` (the database that
comes along), ``db`` (the only place that begins and commits), ``jobs`` (background work), ``access`` (who
may do what), ``llm`` (the one door to models: ``exchange`` asks, ``ledger`` keeps the budget, ``courier``
brings the answers), ``background`` (a run's life), ``throttle`` (how often) and ``rowfiles`` (files of rows).
In front of it stand three doors: ``api`` (agents and widgets), ``cli`` (operators; ``serving`` starts
everything, ``diagnosis`` examines it) and the Streamlit ``pages`` (people), all behind the ``perimeter``.

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
    model           a language or embedding model, nothing else; it works as task, proposer or judge
    prompt version  an immutable prompt of an agent; a label such as "production" points at one
    evaluator       how an answer is scored: weighted checks and a gate that forbids; it has versions
    score, metric   what one answer is worth (0-1); the aggregate of scores
    run             background work with status, budget, progress and result
    candidate       a prompt proposed within a run; number 0 is the baseline, the prompt as it was
    strategy        a way to make candidates, which a person can read and choose
    race            candidates meet the same examples in the same order; losers leave early
    sealed          test examples that a run sees once, at the end, to say what was gained
    verdict         improved, worse, or no evidence of a difference, with its interval
    call            one question to a model, stored with its answer and its cost; never paid twice
    cap             what a run may spend: money, tokens, calls; reserved before each call
    courier         the process that makes the calls and outlives a worker by those on their way
    variant         what a user meets in an experiment or a release: control or treatment
    allocation      which users of an agent meet which variant: a range of them, in shares
    ramp, phase     the part of the shares that is open; a stretch in which it does not change
    exposure        a user's first answer under an allocation, and the counts of what followed for this user
    crossed         a user who was seen in two variants; counted, and left out
    mismatch        users per variant do not follow the shares: something is broken
    look            one analysis of an experiment at one moment; kept for ever
    guardrail       a bound on a metric that takes a variant or a release back
    non-inferior    shown not to be worse by more than a margin
    stage           a release's share of the users, and how long it stays there at least
    rollback        the previous release is in force again, from the next assignment on
    ledger          for each release what it was made from, and what became of the metric
    API key         what lets an agent in: an organisation, a role, an expiry; only its hash is stored
    widget token    what lets a browser in: a signed, short-lived right to rate one execution
"""
