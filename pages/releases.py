import streamlit as st

from pages.components import frames, session, widgets
from pages.components.releases import go_to, listing, release, starting

user = session.require_user()
asked = st.query_params

if release_id := asked.get("release"):
    release.show(user, release_id)
    st.stop()

known = frames.prompt_agents(user.organization_id)
agents = [one.agent for one in known]

if asked.get("make") == "release" and user.may("release"):
    starting.show(user, agents)
    st.stop()

with widgets.header("Releases"):
    chosen = widgets.choose("Agent", agents, "All agents", key="of") if len(agents) > 1 else None
    if agents and user.may("release") and st.button("Start a release", type="primary", key="new"):
        go_to(chosen, make="release")

listing.show(user, agents, chosen)
