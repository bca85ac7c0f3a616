import streamlit as st

from learning_core import access, db
from learning_core.schema import Role
from pages.components import models, session, widgets
from pages.components.session import ROLE_NAMES

VALID_FOR = {"30 days": 30, "90 days": 90, "One year": 365, "Without end": None}

user = session.require_user("administer")

st.title("Administration", anchor=False)
members_tab, keys_tab, models_tab, organization_tab, log_tab = st.tabs(
    ["Members", "API keys", "Models", "Organisation", "Audit log"],
    key="tab",
    on_change="rerun",
    bind="query-params",
)

with db.reading_session(user.organization_id) as reading:
    members = access.members(reading)
    keys = access.keys(reading)
    log = access.audit_log(reading)

TIME = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", timezone="UTC")

with members_tab:
    st.caption(
        "Members count once sign-in is configured. Until then the one person at this machine may view as any."
    )
    if members.empty:
        st.caption("No members yet.")
    else:
        shown = members.assign(role=members["role"].map(lambda role: ROLE_NAMES[Role(role)]))
        st.dataframe(
            shown,
            hide_index=True,
            alt="Members",
            column_config={
                "email": "E-mail",
                "name": "Name",
                "role": "Role",
                "created_at": TIME | {"label": "Since (UTC)"},
            },
        )
    add, remove = st.columns(2)
    with add, st.form("save_member", clear_on_submit=True):
        st.header("Add or change a member", anchor=False)
        email = st.text_input("E-mail", max_chars=200)
        name = st.text_input("Name", max_chars=120)
        role = st.selectbox("Role", list(Role), format_func=ROLE_NAMES.__getitem__)
        if st.form_submit_button("Save", type="primary"):
            with widgets.reporting():
                with db.organization_session(user.organization_id) as writing:
                    access.save_member(writing, user.caller, email, name, role)
                st.rerun()
    with remove, st.form("remove_member", clear_on_submit=True):
        st.header("Remove a member", anchor=False)
        email = st.selectbox("Member", members["email"].tolist(), index=None, placeholder="Choose")
        sure = st.checkbox("Remove them; what they did stays in the audit log")
        if st.form_submit_button("Remove", disabled=members.empty) and email and sure:
            with widgets.reporting():
                with db.organization_session(user.organization_id) as writing:
                    access.remove_member(writing, user.caller, email)
                st.rerun()

with keys_tab:
    if created := st.session_state.pop("created_key", None):
        with st.container(border=True):
            st.header("Your new key", anchor=False)
            st.text("Copy it now. It is shown this once and stored nowhere.")
            st.code(created, language=None)
    if keys.empty:
        st.caption("No keys yet. An agent needs one to send feedback.")
    else:
        st.dataframe(
            keys.assign(role=keys["role"].map(lambda role: ROLE_NAMES[Role(role)])),
            hide_index=True,
            alt="API keys",
            column_config={
                "name": "Name",
                "prefix": "Key",
                "role": "Role",
                "state": "State",
                "created_by": "Created by",
                "created_at": TIME | {"label": "Created (UTC)"},
                "expires_at": TIME | {"label": "Expires (UTC)"},
            },
        )
    add, revoke = st.columns(2)
    with add, st.form("create_key", clear_on_submit=True):
        st.header("Create a key", anchor=False)
        name = st.text_input("Name of the agent or program", max_chars=120)
        role = st.selectbox("Role", list(Role), index=2, format_func=ROLE_NAMES.__getitem__, key="key_role")
        days = st.selectbox("Valid for", list(VALID_FOR), index=1)
        if st.form_submit_button("Create", type="primary"):
            with widgets.reporting():
                with db.organization_session(user.organization_id) as writing:
                    st.session_state["created_key"] = access.create_key(
                        writing, user.caller, name, role, days_valid=VALID_FOR[days]
                    )
                st.rerun()
    active = keys[keys["state"] == "active"]
    with revoke, st.form("revoke_key", clear_on_submit=True):
        st.header("Revoke a key", anchor=False)
        names = dict(zip(active["prefix"], active["name"], strict=True))
        prefix = st.selectbox(
            "Key", list(names), index=None, placeholder="Choose", format_func=lambda p: f"{names[p]} ({p})"
        )
        sure = st.checkbox("Revoke it; whatever uses it stops working at once")
        if st.form_submit_button("Revoke", disabled=active.empty) and prefix and sure:
            with widgets.reporting():
                with db.organization_session(user.organization_id) as writing:
                    access.revoke_key(writing, user.caller, prefix)
                st.rerun()

with models_tab:
    models.show(user)

with organization_tab:
    create, remove = st.columns(2)
    with create, st.form("create_organization", clear_on_submit=True):
        st.header("Create another organisation", anchor=False)
        name = st.text_input("Name", max_chars=120, key="organization_name")
        if st.form_submit_button("Create", type="primary"):
            with widgets.reporting():
                with db.shared_session() as shared:
                    created = access.create_organization(shared, name, by=user.name)
                session.switch_organization(created.name)
    with remove, st.form("remove_organization"):
        st.header("Remove this organisation", anchor=False)
        st.text("This deletes all it holds; its audit log stays. To confirm, type its name:")
        st.code(user.organization_name, language=None)
        typed = st.text_input("Name", key="typed_name", label_visibility="collapsed")
        if st.form_submit_button("Remove for good"):
            if typed.strip() == user.organization_name:
                widgets.remove_organization(user)
            else:
                st.error("That is not its name.")

with log_tab:
    st.caption("What was done here, by whom; the latest 500 entries, newest first.")
    st.dataframe(
        log,
        hide_index=True,
        alt="Audit log",
        column_config={
            "at": TIME | {"label": "Time (UTC)"},
            "actor": "Who",
            "action": "What",
            "subject": "To what",
            "details": st.column_config.TextColumn("Details", width="large"),
        },
    )
