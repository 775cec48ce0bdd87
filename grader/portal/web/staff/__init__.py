"""
The instructor's pages. For students, there are no such pages.
"""
