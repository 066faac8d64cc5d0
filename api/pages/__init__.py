"""The console: pages for people over what the REST face reads, with the same permissions; they work without scripts."""
