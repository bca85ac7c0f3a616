import streamlit as st

from pages.components import frames, session, widgets
from pages.components.prompts import (
    choosing,
    comparing,
    evaluating,
    evaluator,
    go_to,
    launch,
    making,
    overview,
    run,
    version,
)
from pages.components.texts import plain

user = session.require_user()
asked = st.query_params

if run_id := asked.get("run"):
    run.show(user, run_id)
    st.stop()

known = frames.prompt_agents(user.organization_id)
agents = [one.agent for one in known]
named = asked.get("agent") or (agents[0] if len(agents) == 1 else None)

if named in agents:
    make = asked.get("make") if user.may("optimize") else None
    if make == "run":
        launch.show(user, named, asked.get("version"))
        st.stop()
    if make == "version":
        making.show(user, named)
        st.stop()
    if make == "evaluation":
        evaluating.show(user, named, asked.get("version", ""))
        st.stop()
    if asked.get("evaluator"):
        evaluator.show(user, named)
        st.stop()
    if asked.get("before") and asked.get("after"):
        comparing.show(user, named)
        st.stop()
    if asked.get("version"):
        version.show(user, named, asked["version"])
        st.stop()

with widgets.header("Prompts"):
    if len(agents) > 1:
        named = choosing.agent(agents, named)
    if named and user.may("optimize") and st.button("Improve this prompt", type="primary", key="improve"):
        go_to(named, make="run")

if not agents:
    widgets.show_empty(
        "No agent has been heard of yet",
        "Prompts belong to agents. The first feedback, execution or example of an agent brings it in.",
    )
elif named is None:
    overview.show_agents(user, known)
else:
    if len(agents) == 1:
        st.caption(f"Agent {plain(named)}")
    overview.show(user, named)
