"""Pure folds from events to rows, and the questions that the rows answer."""
