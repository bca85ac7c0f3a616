from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from learning_core import access, db
from tests.pages.conftest import shown


def press(app: AppTest, label: str, of: int = 0) -> AppTest:
    return [button for button in app.button if button.label == label][of].click().run()


def test_members_are_added_and_removed(visit: Callable[..., AppTest], organization: object) -> None:
    app = visit("admin")
    app.text_input[0].set_value("ana@example.org")
    app.text_input[1].set_value("Ana")
    app = press(app, "Save")
    assert not app.error
    with db.reading_session(organization.id) as session:
        assert access.members(session)["email"].tolist() == ["ana@example.org"]
    app = visit("admin")
    next(box for box in app.selectbox if box.label == "Member").set_value("ana@example.org")
    app.checkbox[0].check()
    press(app, "Remove")
    with db.reading_session(organization.id) as session:
        assert access.members(session).empty


def test_an_address_that_is_none_is_refused_in_words(visit: Callable[..., AppTest]) -> None:
    app = visit("admin")
    app.text_input[0].set_value("![x](http://evil.example)")
    app = press(app, "Save")
    assert "is not an e-mail address" in app.error[0].value.replace("\\", "")
    assert "![x](" not in app.error[0].value


def test_a_key_is_shown_once_and_can_be_revoked(visit: Callable[..., AppTest], organization: object) -> None:
    app = visit("admin")
    next(field for field in app.text_input if field.label.startswith("Name of the agent")).set_value("bot")
    app = press(app, "Create")
    assert any(code.value.startswith("afg_") for code in app.code)
    app.run()
    assert not any(code.value.startswith("afg_") for code in app.code)
    box = next(box for box in app.selectbox if box.label == "Key")
    box.select_index(0)
    app.checkbox[1].check()
    press(app, "Revoke")
    with db.reading_session(organization.id) as session:
        assert access.keys(session)["state"].tolist() == ["revoked"]


def test_an_organisation_is_removed_only_under_its_name(
    visit: Callable[..., AppTest], organization: object
) -> None:
    app = visit("admin")
    app.text_input(key="typed_name").set_value("something else")
    app = press(app, "Remove for good")
    assert "That is not its name." in shown(app)
    app.text_input(key="typed_name").set_value(organization.name)
    press(app, "Remove for good")
    with db.shared_session() as session:
        assert organization.slug not in {known.slug for known in access.organizations(session)}


def test_a_new_organisation_is_shown_at_once(visit: Callable[..., AppTest], organization: object) -> None:
    app = visit("admin")
    app.text_input(key="organization_name").set_value(f"{organization.name} two")
    app = press(app, "Create", of=1)
    assert app.title[0].value == "Overview"
    assert app.selectbox(key="organization").value == f"{organization.name} two"


def test_the_demo_is_removed_by_one_confirmed_click(
    visit: Callable[..., AppTest], organization: object
) -> None:
    with db.shared_session() as session:
        demo = access.create_organization(session, f"{organization.name} demo", simulated=True)
    app = visit("feedback", organization=demo.name)
    app.button(key="remove_demo").click().run()
    assert not app.exception
    assert app.title[0].value == "Overview"
    with db.shared_session() as session:
        assert demo.slug not in {known.slug for known in access.organizations(session)}


def test_what_was_done_is_in_the_log(visit: Callable[..., AppTest], organization: object) -> None:
    caller = access.Caller(organization.id, "test", "admin")
    with db.organization_session(organization.id) as session:
        access.save_member(session, caller, "bo@example.org", "Bo", "viewer")
    app = visit("admin")
    assert "member.saved" in app.dataframe[-1].value["action"].tolist()
