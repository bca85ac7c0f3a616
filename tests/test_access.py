from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from learning_core import access, db
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted, NotSignedIn
from learning_core.schema import Base, Role
from tests.factories import populate

EVERYONE_ELSE = [role for role in Role if role is not Role.ADMIN]


@pytest.fixture
def admin(organization) -> Caller:
    return Caller(organization.id, "Ada", Role.ADMIN)


def log(session) -> list[tuple]:
    """Return who did what to what since the organisation was created."""
    entries = access.audit_log(session)
    entries = entries[entries.action != "organization.created"]
    return list(zip(entries.actor, entries.action, entries.subject, strict=True))


# ---------------------------------------------------------------- organisations


def test_a_short_name_follows_from_the_name(database):
    unique = uuid4().hex[:8]
    with db.shared_session() as session:
        created = access.create_organization(session, f"  Müller & Söhne {unique} ")
        assert created.slug == f"m-ller-s-hne-{unique}"
        assert created.name == f"Müller & Söhne {unique}"
        assert access.find_organization(session, created.slug).id == created.id


def test_the_creation_of_an_organisation_is_the_first_entry_of_its_log(database):
    with db.shared_session() as session:
        created = access.create_organization(session, f"Acme {uuid4().hex[:8]}", by="Ada")
    with db.organization_session(created.id) as session:
        entries = access.audit_log(session)
    assert entries[["actor", "action", "subject"]].to_numpy().tolist() == [
        ["Ada", "organization.created", created.name]
    ]


@pytest.mark.parametrize("name", ["", "   ", "---", "日本"])
def test_a_name_without_a_letter_or_digit_is_refused(database, name):
    with pytest.raises(InvalidInput, match="letter or digit"), db.shared_session() as session:
        access.create_organization(session, name)


def test_a_second_organisation_of_the_same_name_is_a_conflict(organization):
    with pytest.raises(Conflict, match=organization.slug), db.shared_session() as session:
        access.create_organization(session, organization.name)


def test_an_unknown_short_name_is_not_found_and_the_known_ones_are_named(organization):
    with pytest.raises(NotFound, match=organization.slug), db.shared_session() as session:
        access.find_organization(session, "no-such-organisation")


def test_removing_an_organisation_leaves_its_name_and_its_audit_log(organization, other_organization):
    admin = populate(organization)
    populate(other_organization)
    with db.organization_session(organization.id) as session:
        access.remove_organization(session, admin)
    owned = [table.name for table in Base.metadata.sorted_tables if "organization_id" in table.columns]
    with db.organization_session(organization.id) as session:
        left = [name for name in owned if session.execute(text(f"SELECT 1 FROM {name} LIMIT 1")).scalar()]
        assert left == ["audit_log"]
        assert ("admin", "organization.removed", str(organization.id)) in log(session)
        assert ("admin", "member.saved", "ada@example.com") in log(session)
    with db.organization_session(other_organization.id) as session:
        assert all(session.execute(text(f"SELECT 1 FROM {name} LIMIT 1")).scalar() for name in owned)
    with db.shared_session() as session:
        assert organization.id not in [known.id for known in access.organizations(session)]
        kept = session.execute(text("SELECT name FROM organizations WHERE id = :id"), {"id": organization.id})
        assert kept.scalar() == organization.name
        access.create_organization(session, organization.name)  # the name is free again


# ---------------------------------------------------------------- members


def test_a_member_is_added_changed_and_removed_and_each_is_on_record(transaction, admin):
    with transaction() as session:
        access.save_member(session, admin, " Grace@Example.COM ", "Grace", Role.EXPERT)
        access.save_member(session, admin, "grace@example.com", "Grace H.", Role.ENGINEER)
        found = access.members(session)
        assert found[["email", "name", "role"]].to_dict("records") == [
            {"email": "grace@example.com", "name": "Grace H.", "role": "engineer"}
        ]
        access.remove_member(session, admin, "grace@example.com")
        assert access.members(session).empty
    with transaction() as session:
        assert sorted(log(session)) == [
            ("Ada", "member.removed", "grace@example.com"),
            ("Ada", "member.saved", "grace@example.com"),
            ("Ada", "member.saved", "grace@example.com"),
        ]


def test_a_member_without_a_name_goes_by_their_address(transaction, admin):
    with transaction() as session:
        access.save_member(session, admin, "grace@example.com", " ", Role.VIEWER)
        assert list(access.members(session).name) == ["grace@example.com"]


@pytest.mark.parametrize(
    "email", ["", "grace", "grace@", "@example.com", "a@b", "a b@example.com", "x" * 200 + "@e.com"]
)
def test_what_is_no_address_is_refused(transaction, admin, email):
    with pytest.raises(InvalidInput, match="not an e-mail address"), transaction() as session:
        access.save_member(session, admin, email, "Grace", Role.VIEWER)


def test_removing_somebody_unknown_says_so(transaction, admin):
    with pytest.raises(NotFound, match="nobody@example"), transaction() as session:
        access.remove_member(session, admin, "nobody@example.com")


# ---------------------------------------------------------------- rights

ADMINISTERING = {
    "save a member": lambda session, caller: access.save_member(session, caller, "a@b.com", "A", Role.ADMIN),
    "remove a member": lambda session, caller: access.remove_member(session, caller, "a@b.com"),
    "create a key": lambda session, caller: access.create_key(session, caller, "key", Role.VIEWER),
    "revoke a key": lambda session, caller: access.revoke_key(session, caller, "key"),
    "remove the organisation": access.remove_organization,
}


@pytest.mark.parametrize("role", EVERYONE_ELSE)
@pytest.mark.parametrize("verb", ADMINISTERING.values(), ids=ADMINISTERING)
def test_only_an_admin_may_administer(organization, transaction, role, verb):
    with pytest.raises(NotPermitted, match=f"role {role} may not administer"), transaction() as session:
        verb(session, Caller(organization.id, "someone", role))
    with transaction() as session:
        assert log(session) == []


@pytest.mark.parametrize(
    ("right", "able"),
    [("read", set(Role)), ("report", set(Role) - {Role.VIEWER}), ("administer", {Role.ADMIN})],
)
def test_each_right_belongs_to_its_roles(organization, right, able):
    for role in Role:
        caller = Caller(organization.id, "someone", role)
        if role in able:
            access.require(caller, right)
        else:
            with pytest.raises(NotPermitted):
                access.require(caller, right)


# ---------------------------------------------------------------- keys


def test_a_key_opens_its_organisation_with_its_role(organization, transaction, admin):
    with transaction() as session:
        key = access.create_key(session, admin, "agent", Role.ENGINEER)
        assert access.organization_of_key(key) == organization.id
        assert access.verify_key(session, key) == Caller(organization.id, "key agent", Role.ENGINEER)


def test_a_key_is_stored_nowhere_but_as_its_hash(transaction, admin):
    with transaction() as session:
        key = access.create_key(session, admin, "agent", Role.ENGINEER)
        secret = key[access.KEY_HEAD :]
        for table in ("api_keys", "audit_log"):
            rows = "\n".join(session.execute(text(f"SELECT CAST(t AS text) FROM {table} AS t")).scalars())
            assert rows
            assert secret not in rows
            assert secret[6:] not in rows
            assert secret.encode().hex() not in rows
        assert session.execute(text("SELECT octet_length(secret_hash) FROM api_keys")).scalar() == 32


def test_no_two_keys_are_alike(transaction, admin):
    with transaction() as session:
        keys = {access.create_key(session, admin, "agent", Role.VIEWER) for _ in range(20)}
    assert len(keys) == 20


def test_a_revoked_key_opens_nothing_and_both_are_on_record(transaction, admin):
    with transaction() as session:
        key = access.create_key(session, admin, "agent", Role.ENGINEER)
        prefix = access.keys(session).prefix[0]
        access.revoke_key(session, admin, prefix)
        assert list(access.keys(session).state) == ["revoked"]
        with pytest.raises(NotSignedIn, match="revoked"):
            access.verify_key(session, key)
        assert sorted(log(session)) == [("Ada", "key.created", "agent"), ("Ada", "key.revoked", "agent")]
        with pytest.raises(NotFound):
            access.revoke_key(session, admin, prefix)


def test_revoking_by_name_revokes_every_key_of_that_name(transaction, admin):
    with transaction() as session:
        for name in ("agent", "agent", "other"):
            access.create_key(session, admin, name, Role.VIEWER)
        access.revoke_key(session, admin, "agent")
        found = access.keys(session)
        assert set(zip(found.name, found.state, strict=True)) == {("agent", "revoked"), ("other", "active")}


def test_a_key_expires(transaction, admin):
    with transaction() as session:
        key = access.create_key(session, admin, "agent", Role.VIEWER, days_valid=1)
        assert access.verify_key(session, key)
        session.execute(
            text("UPDATE api_keys SET expires_at = expires_at - :days"), {"days": timedelta(days=2)}
        )
        assert list(access.keys(session).state) == ["expired"]
        with pytest.raises(NotSignedIn, match="expired"):
            access.verify_key(session, key)


@pytest.mark.parametrize(
    "wish", [{"name": " "}, {"name": "x" * 121}, {"days_valid": 0}, {"days_valid": -1}], ids=str
)
def test_a_key_beyond_its_limits_is_refused(transaction, admin, wish):
    with pytest.raises(InvalidInput) as refusal, transaction() as session:
        access.create_key(session, admin, **{"name": "agent", "role": Role.VIEWER} | wish)
    assert refusal.value.field == next(iter(wish))


@pytest.mark.parametrize(
    "key", ["", "afg_", "afg_zz_x", f"afg_{'0' * 32}_{'x' * 42}", f"AFG_{'0' * 32}_{'x' * 43}"]
)
def test_what_is_not_shaped_like_a_key_is_refused_before_anything_is_asked(key):
    with pytest.raises(NotSignedIn, match="should start with afg_"):
        access.organization_of_key(key)


def test_a_well_shaped_key_names_its_organisation_before_it_is_proved_good():
    assert access.organization_of_key(f"afg_{'0' * 32}_{'x' * 43}") == UUID(int=0)


def test_the_signing_secret_is_made_once_and_is_each_organisations_own(organization, other_organization):
    with db.organization_session(organization.id) as session:
        assert access.existing_signing_secret(session) is None
        secret = access.signing_secret(session)
        assert access.signing_secret(session) == access.existing_signing_secret(session) == secret
        assert len(secret) == 32
    with db.organization_session(other_organization.id) as session:
        assert access.signing_secret(session) != secret


# ---------------------------------------------------------------- the audit log


def test_the_audit_log_is_shown_newest_first_and_no_longer_than_asked(organization, admin):
    for n in range(3):
        with db.organization_session(organization.id) as session:
            access.audit(session, admin, "tested", str(n), figure=n)
    with db.organization_session(organization.id) as session:
        entries = access.audit_log(session, limit=2)
    assert list(entries.subject) == ["2", "1"]
    assert list(entries.details) == ['{"figure": 2}', '{"figure": 1}']


def test_what_is_undone_is_not_on_record(transaction, admin):
    with suppress(KeyError), transaction() as session:
        access.save_member(session, admin, "grace@example.com", "Grace", Role.VIEWER)
        raise KeyError
    with transaction() as session:
        assert log(session) == []
