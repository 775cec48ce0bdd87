"""
Handing in at a portal, from a terminal or a notebook. It needs nothing but what a check needs.
"""
