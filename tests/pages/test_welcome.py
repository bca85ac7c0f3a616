from uuid import uuid4

from streamlit.testing.v1 import AppTest

from learning_core import access, db
from tests.pages.conftest import PAGES


def test_the_first_organisation_is_created_by_name(request_headers: dict[str, str], database: None) -> None:
    name = f"First {uuid4().hex}"
    app = AppTest.from_file(PAGES / "welcome.py", default_timeout=60).run()
    app.text_input[0].set_value(name)
    app.button[0].click().run()
    assert not app.exception
    with db.shared_session() as session:
        assert name in {organization.name for organization in access.organizations(session)}
