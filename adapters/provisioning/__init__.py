"""The provisioning system: the network that runs services (F20)."""
