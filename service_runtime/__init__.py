"""What every DFIP service is made of: server, clients, errors, identity, settings, time, logs.

Knows no business noun: a camera or a person never appears here.
"""
