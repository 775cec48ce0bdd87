def grad_out(dyhat, w2, out):
    return dyhat @ w2.T * (1 - out**2)
