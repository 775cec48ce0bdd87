"""
Runs strangers' notebooks: a warm forkserver behind a Jupyter kernel provisioner, and walls around each fork.
"""
