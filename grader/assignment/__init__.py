"""
Turns an author's source notebook into an `Assignment`.
"""
