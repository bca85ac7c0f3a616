import pandas as pd
import streamlit as st
from pydantic import ValidationError

from learning_core import db
from learning_core.feedback.entries import describe
from learning_core.review.demonstrations import DemonstrationEntry, add_demonstration
from learning_core.schema import ExampleStatus
from pages.components import frames, session, widgets
from pages.components.charts import shorten
from pages.components.texts import STATUS_NAMES, plain

FIRST_STEPS = 3
MOST_STEPS = 100

user = session.require_user()

st.title("Demonstrations", anchor=False)
st.caption(
    "An expert shows one piece of work from beginning to end, and the agent learns from it: not only the "
    "result, but the way there."
)

if st.session_state.pop("demonstration_saved", False):
    st.toast("Saved. It waits in review for somebody else: nobody judges their own work.")


def say_what_is_wrong(error: ValidationError) -> None:
    """Put each complaint under the field it is about."""
    for one in error.errors(include_url=False):
        field, *place = one["loc"]
        where = f"Step {int(place[0]) + 1}: " if place else ""
        empty = one["type"] in ("missing", "string_too_short", "string_type")
        complaint = MISSING.get(str(field), "Fill this in.") if empty else f"{describe(one)}."
        slots[field].markdown(f":small[:red[{where}{plain(complaint, 300)}]]")


MISSING = {
    "agent_id": "Say which agent shall learn from it.",
    "task": "Say what is to be done.",
    "final_output": "Say what comes out in the end.",
}

if user.may("review"):
    number = st.session_state.setdefault("demonstration_number", 0)
    steps_key = f"demonstration_{number}_steps"
    step_count = st.session_state.setdefault(steps_key, FIRST_STEPS)
    key = f"demonstration_{number}"
    slots = {}
    with st.form(key, enter_to_submit=False):
        st.header("Show how it is done", anchor=False)
        left, right = st.columns(2)
        with left:
            agent = st.selectbox(
                "Agent",
                frames.agents_ever(user.organization_id),
                index=None,
                placeholder="Choose, or type a new one",
                accept_new_options=True,
                key=f"{key}_agent",
            )
            slots["agent_id"] = st.empty()
        with right:
            domain = st.text_input(
                "Domain (optional)", placeholder="taxes", max_chars=200, key=f"{key}_domain"
            )
            slots["domain"] = st.empty()
        task = st.text_area(
            "Task", placeholder="Work out the VAT of a mixed invoice.", height=80, key=f"{key}_task"
        )
        slots["task"] = st.empty()
        given = st.text_area(
            "What is given (optional)",
            placeholder="The invoice, the customer's country, the figures …",
            height=100,
            key=f"{key}_given",
        )
        slots["input_state"] = st.empty()
        steps = [
            st.text_input(
                f"Step {place + 1}" if place else "Steps, in their order; empty ones are left out",
                placeholder=f"Step {place + 1}",
                label_visibility="collapsed" if place else "visible",
                max_chars=4_000,
                key=f"{key}_step_{place}",
            )
            for place in range(step_count)
        ]
        slots["actions"] = st.empty()
        adding = st.form_submit_button("Add a step", disabled=step_count >= MOST_STEPS, key=f"{key}_add")
        output = st.text_area("What comes out", height=120, key=f"{key}_output")
        slots["final_output"] = st.empty()
        why = st.text_area("Why it is done this way (optional)", height=100, key=f"{key}_why")
        slots["reasoning"] = st.empty()
        saving = st.form_submit_button("Save the demonstration", type="primary", key=f"{key}_save")
        st.caption("Somebody else reviews it before any agent learns from it.")
    if adding:
        st.session_state[steps_key] = step_count + 1
        st.rerun()
    if saving:
        try:
            entry = DemonstrationEntry(
                agent_id=agent or "",
                task=task,
                input_state=given,
                actions=[step for step in steps if step.strip()],
                final_output=output,
                reasoning=why,
                domain=domain.strip() or None,
            )
        except ValidationError as error:
            say_what_is_wrong(error)
            st.error("Nothing is saved yet: see the fields marked above.")
        else:
            with widgets.reporting():
                with db.organization_session(user.organization_id) as writing:
                    add_demonstration(writing, user.caller, entry)
                frames.forget()
                st.session_state["demonstration_number"] = number + 1
                st.session_state["demonstration_saved"] = True
                st.rerun()
else:
    st.caption("Experts add them; your role reads.")

rows = frames.demonstrations(user.organization_id)


def open_example() -> None:
    chosen = st.session_state["demonstrations"]["selection"]["rows"]
    if chosen:
        st.switch_page("review.py", query_params={"example": rows["id"].iloc[chosen[0]]})


st.header("What was shown so far", anchor=False)
if rows.empty:
    st.caption("No demonstration yet.")
else:
    st.caption("Newest first. Choose a row to read it in full, and what reviewers said of it.")
    st.dataframe(
        pd.DataFrame(
            {
                "Task": [shorten(task, 300) for task in rows["task"]],
                "Agent": [shorten(agent, 60) for agent in rows["agent"]],
                "Steps": rows["step_count"],
                "Status": [STATUS_NAMES[ExampleStatus(status)] for status in rows["status"]],
                "Author": [None if pd.isna(author) else shorten(author, 60) for author in rows["author"]],
                "Added": rows["created_at"],
            }
        ),
        hide_index=True,
        key="demonstrations",
        on_select=open_example,
        selection_mode="single-row",
        alt="Demonstrations",
        placeholder="—",
        column_config={
            "Task": st.column_config.TextColumn(width=290),
            "Agent": st.column_config.TextColumn(width=130),
            "Steps": st.column_config.NumberColumn(width=50),
            "Status": st.column_config.TextColumn(width=120),
            "Author": st.column_config.TextColumn(width=130),
            "Added": st.column_config.DatetimeColumn(
                "Added (UTC)", format="YYYY-MM-DD", timezone="UTC", width=100
            ),
        },
    )
