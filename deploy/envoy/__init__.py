"""The edge: Envoy, and its configuration as the contracts ask for it."""

from deploy.envoy.edge import EdgeSettings, envoy_command, write_edge

__all__ = ["EdgeSettings", "envoy_command", "write_edge"]
