"""Formats and jobs of exports."""
