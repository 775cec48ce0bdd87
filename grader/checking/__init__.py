"""
`check`: a student's own check in a notebook.
"""
