"""How long things are kept, as administrators have set it."""
