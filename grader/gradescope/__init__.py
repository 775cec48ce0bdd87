"""
An autograder for Gradescope: the zip that an instructor uploads, and the part that runs there.
"""
