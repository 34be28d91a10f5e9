"""Alerts: rules over what happens, the lists of people that they name, and what they raised."""
