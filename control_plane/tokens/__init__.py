"""Tokens: the control plane alone holds the signing key, so it alone can mint them."""
