import pytest

from learning_core.access import Caller
from learning_core.datasets import proposals, queries, runs
from learning_core.errors import Conflict, NotFound, NotPermitted
from learning_core.schema import Role


@pytest.fixture
def propose(transaction):
    """Take the weekly look and return the proposals that wait."""

    def look():
        with transaction() as session:
            proposals.propose(session)
            return queries.proposals(session)

    return look


def test_a_next_version_is_proposed_when_enough_is_new(approve, freeze, propose):
    approve(200)
    freeze()
    approve(9)
    assert propose() == []
    approve(1)
    (found,) = propose()
    assert (found.name, found.summary) == ("vat", {"after": 1, "added": 10, "total": 210})


def test_a_handful_is_too_few_whatever_its_share(approve, freeze, propose):
    approve(5)
    freeze()
    approve(4)
    assert propose() == []
    approve(1)
    assert len(propose()) == 1


def test_only_what_fits_the_rules_counts_as_new(approve, freeze, propose):
    approve(5, domain="vat")
    freeze(domains=("vat",))
    approve(20, domain="payroll")
    assert propose() == []


def test_a_second_look_renews_the_proposal(approve, freeze, propose):
    approve(5)
    freeze()
    approve(5)
    (first,) = propose()
    approve(2)
    (second,) = propose()
    assert (second.id, second.summary["added"]) == (first.id, 7)


def test_accepting_freezes_what_fits_now(approve, freeze, propose, transaction, curator):
    approve(5)
    freeze(seed="7")
    approve(5)
    (found,) = propose()
    approve(1)
    with transaction() as session:
        version = proposals.accept(session, curator, found.id)
        assert queries.version(session, version.id).rules["seed"] == "7"
    assert (version.name, version.version, version.example_count) == ("vat", 2, 11)
    assert propose() == []
    with transaction() as session, pytest.raises(NotFound, match="in the meantime"):
        proposals.accept(session, curator, found.id)


def test_freezing_by_hand_settles_the_proposal(approve, freeze, propose, transaction):
    approve(5)
    freeze()
    approve(5)
    propose()
    freeze()
    with transaction() as session:
        assert queries.proposals(session) == []


def test_dismissing_is_for_now(approve, freeze, propose, transaction, curator, organization):
    approve(5)
    freeze()
    approve(5)
    (found,) = propose()
    viewer = Caller(organization.id, "Vera", Role.VIEWER)
    for verb in (proposals.dismiss, proposals.accept):
        with transaction() as session, pytest.raises(NotPermitted, match="may not curate"):
            verb(session, viewer, found.id)
    with transaction() as session:
        proposals.dismiss(session, curator, found.id)
        assert queries.proposals(session) == []
    with transaction() as session, pytest.raises(Conflict, match="in the meantime"):
        proposals.dismiss(session, curator, found.id)
    assert len(propose()) == 1


def test_the_background_run_takes_the_look(approve, freeze, transaction, organization):
    approve(5)
    freeze()
    approve(5)
    runs.propose(str(organization.id))
    with transaction() as session:
        assert len(queries.proposals(session)) == 1
