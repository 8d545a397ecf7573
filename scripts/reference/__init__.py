"""The pages under docs/reference/, made from the code that holds the facts: `make reference`.

Must never hold a fact of its own: what a page lacks is said in the code that it is made from.
"""
