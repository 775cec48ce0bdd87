"""
The portal's pages.
"""
