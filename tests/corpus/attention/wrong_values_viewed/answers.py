def grad_a(do, v):
    n, tokens, size = v.shape
    return do @ v.reshape(n, size, tokens)
