"""
Report JSON as other programs want it: each module renders one format from plain data, and touches nothing else.
"""
