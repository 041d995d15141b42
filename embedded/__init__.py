"""The house: a PostgreSQL and a Temporal of our own, and the supervisor that starts and stops the whole system.

Everything here is a foreground child of the process that starts it, listens on 127.0.0.1 only and dies with its parent.
Nothing here knows the business.
"""
