"""
Everything that runs inside a student's process. Nothing in it is trusted, and nothing in it is secret.
"""
