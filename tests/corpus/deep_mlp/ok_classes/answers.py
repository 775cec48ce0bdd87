# %%
class Layer:
    def __init__(self, decay):
        self.decay = decay

    def back(self, given, d, w, dpenalty):
        dw = given.transpose(0, 1).matmul(d)
        dw = dw + self.decay * dpenalty.item() * w
        return dw, d.sum(0).unsqueeze(0)


layer = Layer(0.02)


# %%
def grad_layer2(k1, dz2, w2, dpenalty):
    return layer.back(k1, dz2, w2, dpenalty)


# %%
def grad_layer1(x, dz1, w1, dpenalty):
    return layer.back(x, dz1, w1, dpenalty)


# %%
def grad_yhat(yhat, t):
    error = yhat - t
    return (error + error) / len(error)
