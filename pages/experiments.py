import streamlit as st

from pages.components import frames, frames_experiments, session, widgets
from pages.components.experiments import go_to, listing, making, planner, result

user = session.require_user()
asked = st.query_params

if experiment_id := asked.get("experiment"):
    result.show(user, experiment_id)
    st.stop()

known = frames.prompt_agents(user.organization_id)
agents = [one.agent for one in known]
named = asked.get("agent") if asked.get("agent") in agents else None

if asked.get("make") == "experiment" and user.may("experiment"):
    making.show(user, agents, named)
    st.stop()
if asked.get("planner"):
    planner.show(user, agents, named)
    st.stop()

with widgets.header("Experiments"):
    chosen = widgets.choose("Agent", agents, "All agents", key="of") if len(agents) > 1 else None
    if agents and st.button("How long would it take?", key="planner"):
        go_to(chosen, planner="1")
    if agents and user.may("experiment") and st.button("New experiment", type="primary", key="new"):
        go_to(chosen, make="experiment")

if not agents:
    widgets.show_empty(
        "No agent has been heard of yet",
        "Experiments let some users meet another version of an agent's prompt, and say whether they are "
        "better off. The first feedback, execution or example of an agent brings it in.",
    )
    st.stop()

listing.show(user, frames_experiments.experiments(user.organization_id, chosen), chosen)
