"""The language: events, commands, boundaries, and the rules that decide; pure, with no I/O and no clock."""
