"""The commands as typed at the shell: names, options, help. What they do is elsewhere."""
