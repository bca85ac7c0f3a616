"""Who is asking: the person, their organisation and their role, settled anew on every run of every page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

import streamlit as st

from learning_core import access, db
from learning_core.access import Caller
from learning_core.perimeter import FORWARDING, is_loopback
from learning_core.schema import Organization, Role

ROLE_NAMES = {
    Role.VIEWER: "Product manager",
    Role.EXPERT: "Expert",
    Role.ENGINEER: "ML engineer",
    Role.ADMIN: "Administrator",
}


@dataclass(frozen=True)
class User:
    """A person in one of their organisations, acting in one role."""

    organization_id: UUID
    organization_slug: str
    organization_name: str
    simulated: bool
    name: str
    role: Role

    @property
    def caller(self) -> Caller:
        """Return who the core shall note as the doer."""
        return Caller(self.organization_id, self.name, self.role)

    def may(self, right: str) -> bool:
        """Return whether the role has a right."""
        return self.role in access.RIGHTS[right]


def require_user(right: str = "read") -> User:
    """Return who is asking; show why and stop the page for anyone who may not see it.

    `index.py` settles the user at the start of the run; a page that runs without it finds none and stops.
    """
    identify()
    user: User | None = st.session_state.get("user")
    if user is None:
        st.stop()
    if not user.may(right):
        st.error("Your role does not allow this page.")
        st.stop()
    return user


def identify() -> str:
    """Return the name of the person at the browser; stop the page where nobody can tell who it is.

    Without sign-in there is one person: the developer at this very machine.
    """
    address = st.get_option("server.address") or ""
    host = re.sub(r":\d+$", "", st.context.headers.get("Host") or "")
    forwarded = any(name in st.context.headers for name in FORWARDING)
    if is_loopback(address) and is_loopback(host) and not forwarded:
        return "Local developer"
    st.title("Sign-in is not configured", anchor=False)
    st.text(
        "Until it is, Afterglow shows its pages only on the machine it runs on, so that nobody else can read "
        "what your users wrote. Open it there, or through a tunnel:"
    )
    st.code("ssh -L 8501:localhost:8501 your-server   # then open http://localhost:8501", language=None)
    return st.stop()


def settle_user() -> User | None:
    """Ask in the sidebar for organisation and role, and keep the answer for this run's page.

    Returns None where there is no organisation yet. Both choices live in the URL.
    """
    st.session_state.pop("user", None)
    name = identify()
    with db.shared_session() as session:
        organizations = {organization.name: organization for organization in access.organizations(session)}
    if not organizations:
        return None
    organization = organizations[_choose("Organisation", list(organizations), key="organization")]
    roles = {label: role for role, label in ROLE_NAMES.items()}
    role = roles[_choose("View as", list(roles), key="view", first=ROLE_NAMES[Role.ADMIN])]
    user = _user(organization, name, role)
    st.session_state["user"] = user
    return user


def switch_organization(name: str) -> NoReturn:
    """Go to the overview of another organisation."""
    st.session_state["next_organization"] = name
    st.switch_page("overview.py", query_params={})


def _choose(label: str, options: list[str], *, key: str, first: str | None = None) -> str:
    """Offer options in the sidebar. Without a default of its own the widget keeps its value in the URL."""
    if (wanted := st.session_state.pop(f"next_{key}", None)) in options:
        st.session_state[key] = wanted
    elif st.session_state.get(key) not in options and st.query_params.get(key) not in options:
        st.session_state[key] = first or options[0]
    with st.sidebar.container(gap=None):
        st.caption(label)
        chosen = st.selectbox(
            label,
            options,
            index=None,
            required=True,
            label_visibility="collapsed",
            key=key,
            bind="query-params",
        )
    return chosen if chosen in options else first or options[0]


def _user(organization: Organization, name: str, role: Role) -> User:
    return User(organization.id, organization.slug, organization.name, organization.simulated, name, role)
