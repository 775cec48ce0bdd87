"""
Shows a `Report` to people and to programs: one module for each form; none of them decides anything.
"""
