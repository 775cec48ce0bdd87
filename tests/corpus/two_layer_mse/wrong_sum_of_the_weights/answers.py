def grad_a1(dyhat, w2):
    return (dyhat * w2.sum()).expand(len(dyhat), len(w2))
