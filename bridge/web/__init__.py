"""Everything over plain HTTP: the JSON API, Razorpay's webhooks, the dashboard's files.

Must never decide what core decides. `server` adds its routes; nothing else imports it.
"""
