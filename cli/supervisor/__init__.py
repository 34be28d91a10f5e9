"""`dfip up`: checks the site, runs the services as processes and keeps them running."""
