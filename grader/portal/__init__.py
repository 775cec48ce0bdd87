"""
The portal: students hand in on a page of their course and read their report there; instructors watch the class.
"""
