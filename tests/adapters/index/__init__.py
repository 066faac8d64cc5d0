"""Tests of the index and the writer, whichever log they write to."""
