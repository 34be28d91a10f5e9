"""What is observed of each camera, apart from what is wanted."""
