"""Allocation paths and policies."""
