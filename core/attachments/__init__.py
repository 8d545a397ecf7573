"""The files of disputes: takes them in, keeps their bytes, gives them out as they came.

Must never give out bytes that do not match their hash, nor decide who may see a file.
"""
