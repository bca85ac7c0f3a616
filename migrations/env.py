"""Alembic's entry: runs the migrations on the connection that `db.migrate` hands over."""

from alembic import context

from learning_core.db import owner_engine
from learning_core.schema import Base

connection = context.config.attributes.get("connection") or owner_engine().connect()
context.configure(connection=connection, target_metadata=Base.metadata, transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
