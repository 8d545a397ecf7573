"""What runs all the time and is small: each write as the steps of one trip to the database.

Says what is read and written, and decides nothing. Never waits between two steps.
"""
