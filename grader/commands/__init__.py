"""
The commands of the command line, and the options that they share. Nothing heavy is imported until a command runs.
"""
