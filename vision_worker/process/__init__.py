"""What one worker process costs, and when it has to end."""
