"""
A notebook's cells and its functions are run; what they return comes back as data.
"""
