def grad_w2(a1, dyhat):
    return a1.view(a1.shape[1], a1.shape[0]) @ dyhat
