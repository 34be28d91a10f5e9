"""The change feed: what happened, in order, to be followed and resumed."""
