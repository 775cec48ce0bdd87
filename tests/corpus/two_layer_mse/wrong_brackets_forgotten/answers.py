def grad_yhat(yhat, y):
    n = yhat.shape[0]
    return 2 * yhat - y / n
