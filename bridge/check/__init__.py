"""`python -m bridge check https://host`: tries a public address as a browser would.

It says what a proxy on the way does wrong, and how that is mended. Must never change anything
there, print a token, or send one over an open line.
"""
