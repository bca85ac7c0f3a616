import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from streamlit.testing.v1 import AppTest

from learning_core import db
from learning_core.access import Caller
from learning_core.llm import endpoints
from learning_core.llm.endpoints import Found, Saved, Source
from learning_core.schema import ModelRole, Role
from tests.fakes import ModelServer
from tests.pages.conftest import shown
from tests.pages.test_hostile import HOSTILE, assert_inert

LOCAL = {"name": "small", "provider": "Ollama", "base_url": "http://127.0.0.1:1/v1", "model": "tiny"}


@pytest.fixture
def save(organization: object) -> Callable[..., None]:
    """Save a model and use it like the agent: `save(name="large")`."""

    def store(**fields: object) -> None:
        ada = Caller(organization.id, "Ada", Role.ADMIN)
        with db.organization_session(organization.id) as session:
            saved = endpoints.save_model(session, ada, **(LOCAL | fields))
            endpoints.assign(session, ada, ModelRole.TASK, saved)

    return store


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a model that answers "ok"."""
    with ModelServer(lambda _: "ok") as running:
        yield running.base_url


def press(app: AppTest, key: str) -> AppTest:
    return app.button(key=key).click().run()


def submit(app: AppTest, of_form: str) -> AppTest:
    return next(button for button in app.button if button.form_id == of_form).click().run()


def known(organization: object) -> tuple[list[Saved], dict[ModelRole, Source]]:
    with db.reading_session(organization.id) as session:
        return endpoints.models(session), endpoints.sources(session)


def fill_in(app: AppTest, which: str = "A new model", **fields: str) -> None:
    for name, value in fields.items():
        app.text_input(key=f"model_{which}_{name}").set_value(value)


def test_without_a_model_the_way_to_the_first_is_shown(visit: Callable[..., AppTest]) -> None:
    app = visit("admin")
    assert "No model yet" in shown(app)
    assert "Look for local servers" in shown(app)
    assert "What each is used for" not in shown(app)


def test_the_first_model_is_used_for_everything_but_meaning(
    visit: Callable[..., AppTest], organization: object
) -> None:
    app = visit("admin")
    fill_in(app, name="small", address="http://127.0.0.1:1/v1/", model="tiny")
    app = submit(app, "model_A new model")
    assert not app.error
    [saved], used = known(organization)
    assert (saved.model.name, saved.model.base_url, saved.model.price(1, 1)) == (
        "small",
        "http://127.0.0.1:1/v1",
        0,
    )
    assert {role: source.through for role, source in used.items()} == {
        ModelRole.TASK: ModelRole.TASK,
        ModelRole.PROPOSER: ModelRole.TASK,
        ModelRole.JUDGE: ModelRole.TASK,
    }
    table = next(frame.value for frame in app.dataframe if "Used for" in frame.value)
    assert table["Key"].tolist() == ["none"]
    assert list(table["Used for"].iloc[0]) == [
        "Answers like the agent",
        "Writes new prompts",
        "Judges answers",
    ]


def test_an_address_that_is_none_is_refused_in_words(
    visit: Callable[..., AppTest], organization: object
) -> None:
    app = visit("admin")
    fill_in(app, name="small", address="![x](http://evil.example)", model="tiny")
    app = submit(app, "model_A new model")
    assert "An address looks like" in app.error[0].value.replace("\\", "")
    assert known(organization)[0] == []


def test_a_model_is_changed_under_its_name(
    visit: Callable[..., AppTest], save: Callable[..., None], organization: object
) -> None:
    save(base_url="https://models.example/v1", provider="OpenAI")
    app = visit("admin")
    app = app.selectbox(key="edited_model").select("small").run()
    assert app.text_input(key="model_small_address").value == "https://models.example/v1"
    assert app.number_input(key="model_small_in").value is None
    app.number_input(key="model_small_in").set_value(0.4)
    app.number_input(key="model_small_out").set_value(1.6)
    submit(app, "model_small")
    [saved], _ = known(organization)
    assert saved.model.input_usd_per_million == Decimal("0.4")
    assert saved.model.output_usd_per_million == Decimal("1.6")
    assert saved.model.model == "tiny"


def test_a_key_is_chosen_by_name_and_its_secret_never_shown(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, organization: object
) -> None:
    monkeypatch.setenv("AFTERGLOW_MODEL_KEY_ACME", "https://models.example/v1 very-secret")
    app = visit("admin")
    box = app.selectbox(key="model_A new model_key")
    assert box.options == ["None", "acme, for https://models.example/v1"]
    box.select_index(1)
    fill_in(app, name="far", address="https://models.example/v1", model="big")
    app = submit(app, "model_A new model")
    assert known(organization)[0][0].model.key_name == "acme"
    assert "very-secret" not in shown(app)


def test_each_role_can_have_a_model_of_its_own(
    visit: Callable[..., AppTest], save: Callable[..., None], organization: object
) -> None:
    save(name="large")
    save()
    app = visit("admin")
    assert app.selectbox(key="role_task").value == "small"
    assert app.selectbox(key="role_proposer").value is None
    app.selectbox(key="role_proposer").select("large")
    app = submit(app, "assign_models")
    _, used = known(organization)
    assert used[ModelRole.PROPOSER].model.name == "large"
    assert used[ModelRole.JUDGE].through == ModelRole.PROPOSER
    assert app.selectbox(key="role_proposer").value == "large"


def test_a_retired_model_is_used_for_nothing(
    visit: Callable[..., AppTest], save: Callable[..., None], organization: object
) -> None:
    save()
    app = press(visit("admin"), "retire_model")
    assert known(organization) == ([], {})
    assert "No model yet" in shown(app)


def test_servers_on_this_machine_are_found_and_added(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, organization: object
) -> None:
    found = [Found("Ollama", "http://127.0.0.1:11434/v1", ("qwen3:4b", "llama3"))]
    monkeypatch.setattr(endpoints, "discover", lambda: found)
    app = press(visit("admin"), "discover")
    key = "server_http://127.0.0.1:11434/v1"
    assert app.selectbox(key=key).options == ["qwen3:4b", "llama3"]
    app = press(app, f"add_{key}")
    [saved], used = known(organization)
    assert (saved.model.name, saved.model.provider) == ("qwen3:4b", "Ollama")
    assert used[ModelRole.TASK].model == saved.model
    assert app.selectbox(key=key).options == ["llama3"]


def test_no_server_on_this_machine_is_said_to_be_none(
    visit: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "discover", list)
    assert "No server of models answers" in shown(press(visit("admin"), "discover"))


def test_a_model_that_answers_says_what_after_how_long(
    visit: Callable[..., AppTest], save: Callable[..., None], server: str
) -> None:
    save(base_url=server)
    app = press(visit("admin"), "try_model")
    said = shown(app)
    assert re.search(r"small said this after \d+\.\d s, \d+ tokens:", said)
    assert ">ok</div>" in said


def test_a_model_that_is_not_there_is_said_to_be_silent(
    visit: Callable[..., AppTest], save: Callable[..., None]
) -> None:
    save()
    app = press(visit("admin"), "try_model")
    assert any("small: " in element.value for element in app.text)
    assert "said this after" not in shown(app)


@pytest.mark.parametrize("phrase", [phrase for phrase in HOSTILE if len(phrase) < 1000])
def test_hostile_text_is_shown_as_text(
    visit: Callable[..., AppTest],
    save: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    phrase: str,
) -> None:
    save(name=phrase[:80], model=phrase, provider=phrase[:80])
    found = [Found("Ollama", "http://127.0.0.1:11434/v1", (phrase,))]
    monkeypatch.setattr(endpoints, "discover", lambda: found)
    assert_inert(press(visit("admin"), "discover"))
