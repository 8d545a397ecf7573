"""The tables, and everything that is written to them or read from them, on SQLite and PostgreSQL.

The only wing that knows SQL. Must never decide anything: what a row means is the law's. Its door is
`store`; `row` has what comes out of it, and `transaction` what one write can do.
"""
