"""Adapters against the real things they adapt."""
