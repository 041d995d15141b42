"""How Alembic reaches the database: with the URL it was handed, else with the settings' owner URL."""

from alembic import context
from sqlalchemy import create_engine, text


def _url() -> str:
    url = context.config.attributes.get("url")
    if url is None:
        from settings import Settings  # noqa: PLC0415 - only when Alembic is called by hand

        url = Settings().owner_database_url
    return str(url)


engine = create_engine(_url())
with engine.connect() as connection:
    connection.execute(text("SET lock_timeout = '5s'"))
    context.configure(connection=connection, version_table_schema="public", transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
engine.dispose()
