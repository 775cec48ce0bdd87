"""
For authors: scaffold, release and validate an assignment.
"""
