"""Everything over plain HTTP: the JSON API, the webhook door, the dashboard's files.

Must never decide what core decides. `server` adds its routes; nothing else imports it.
"""
