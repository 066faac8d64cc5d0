"""SQL for auditors: one statement, in a process of its own that sees one tenant and can touch nothing."""
