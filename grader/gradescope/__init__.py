"""
An autograder for Gradescope: the zip that it is set up from, and what runs there.
"""
