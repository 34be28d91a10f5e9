"""What happens to every RPC before and after its handler; ``chain`` has the order."""
