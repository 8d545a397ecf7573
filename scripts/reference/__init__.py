"""Makes the pages under docs/reference/ from the code that holds the facts: `make reference`.

Must never hold a fact of its own. When a page lacks something, say it in the code that the page is
made from.
"""
