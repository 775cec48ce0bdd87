"""
A class: submissions as a course platform hands them out, graded in parallel, kept, and handed back.
"""
