"""The rules: pure functions and frozen values.

Imports the standard library and ``domain`` only. No clock, no I/O, no framework, no logging.
"""
