"""
How functions are called with what the network has, and how their results are taken apart into gradients.
"""
