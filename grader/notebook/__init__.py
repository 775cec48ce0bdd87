"""
A file that was handed in becomes cells and functions. Nothing is run here.
"""
