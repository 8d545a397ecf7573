"""`python -m bridge check https://host`: tries a public address as a browser would.

It says what a proxy in between does wrong, and how to mend it. Must never change anything there,
print a token, or send one over an unencrypted connection.
"""
