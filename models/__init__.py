"""How it is stored: tables, repeat-safe changes (``records``), read-only questions (``views``).

The only SQLAlchemy of the system's own data.
"""
