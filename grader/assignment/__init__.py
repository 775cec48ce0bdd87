"""
An author's source notebook becomes an `Assignment`.
"""
