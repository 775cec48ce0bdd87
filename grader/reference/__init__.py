"""
MNIST, the networks, and the cases that exercises are called on, with their right gradients.
"""
