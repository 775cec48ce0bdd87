def grad_q(ds, k):
    dq = ds.bfloat16() @ k.bfloat16() / 8**0.5
    return dq.to(ds.dtype)
