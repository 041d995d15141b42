"""The billing system: accounts, service instances, purchased products, charges (billing.md 5)."""
