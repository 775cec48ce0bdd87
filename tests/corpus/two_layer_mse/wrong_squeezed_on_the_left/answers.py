def grad_yhat(yhat, y):
    difference = yhat.squeeze() - y
    return 2 * difference / len(y)
