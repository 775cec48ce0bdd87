"""
The commands of `grader --help`, and the options that several of them share. Nothing heavy is imported before one runs.
"""
