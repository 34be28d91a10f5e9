"""What the client commands ask of the site, over the same gRPC contracts as everyone."""
