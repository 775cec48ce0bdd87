"""
What a `Report` looks like to people and to programs: one module per form, none of which decides anything.
"""
