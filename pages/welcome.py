import streamlit as st

from learning_core import access, db
from learning_core.demo.load import create_demo
from pages.components import session, widgets

session.identify()

st.title("Welcome to Afterglow", anchor=False)
st.text("There is no organisation yet. Everything you collect belongs to one, and nobody else's sees it.")
with st.form("first_organization", width=480):
    name = st.text_input("Name of your organisation", max_chars=120, placeholder="Brightline Advisory")
    if st.form_submit_button("Create it", type="primary"):
        with widgets.reporting():
            with db.shared_session() as shared:
                access.create_organization(shared, name)
            st.rerun()

st.text("Or look around first, in an invented accounting firm with three agents and ninety days of feedback.")
if st.button("Create the demo"):
    with widgets.reporting():
        create_demo()
        st.rerun()
