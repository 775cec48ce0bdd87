"""
Turns a file that was handed in into cells and functions. Nothing is run here.
"""
