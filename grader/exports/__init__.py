"""
Reports in the formats of other programs. Each module renders one format as text, and does nothing else.
"""
