"""Model packs on this machine: which there are, and quantised variants made from pictures."""
