"""The neighbours: inventory, provisioning, billing.

For each an embedded system with a ledger of its own and a real client over HTTP. Speaks ``domain`` words outward and
the neighbour's words inward; knows no Temporal.
"""
