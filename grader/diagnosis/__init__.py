"""
Explains why a gradient is wrong.
"""
