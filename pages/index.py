"""Runs before every page: who may enter, for which organisation, and what there is to see."""

from pathlib import Path

import streamlit as st

from learning_core.errors import LearningError
from pages.components import session, widgets
from pages.components.review import judge

STATIC = Path(__file__).parent / "static"

st.set_page_config(page_title="Afterglow", page_icon=str(STATIC / "icon.png"), layout="wide")
st.logo(str(STATIC / "logo.png"), size="large", icon_image=str(STATIC / "icon.png"))

PAGES = [
    (st.Page("overview.py", title="Overview", default=True), "read"),
    (st.Page("feedback.py", title="Feedback"), "read"),
    (st.Page("issues.py", title="Common issues", url_path="issues"), "read"),
    (st.Page("review.py", title="Review", url_path="review"), "read"),
    (st.Page("demonstrations.py", title="Demonstrations", url_path="demonstrations"), "read"),
    (st.Page("datasets.py", title="Datasets", url_path="datasets"), "read"),
    (st.Page("prompts.py", title="Prompts", url_path="prompts"), "read"),
    (st.Page("experiments.py", title="Experiments", url_path="experiments"), "read"),
    (st.Page("releases.py", title="Releases", url_path="releases"), "read"),
    (st.Page("admin.py", title="Administration", url_path="admin"), "administer"),
]

try:
    user = session.settle_user()
    if user is None:
        st.navigation([st.Page("welcome.py", title="Welcome")], position="hidden").run()
    else:
        page = st.navigation([page for page, right in PAGES if user.may(right)])
        if user.simulated:
            widgets.say_simulated(user)
        if page.url_path != "review":
            judge.leave(user)
        page.run()
except LearningError as error:
    widgets.show_error(error)
