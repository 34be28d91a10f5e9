"""Webhooks: events posted to receivers of the operator's choice, signed, at least once."""
