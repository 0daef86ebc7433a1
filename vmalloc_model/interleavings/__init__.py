"""Explicit-state exploration of concurrent orders: small programs of atomic steps, all of them."""
