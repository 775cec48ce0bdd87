# %%
def grad_w1(x, dz1):
    dw1 = x.T @ dz1
    plt.figure()
    plt.imshow(dw1[:, 0].reshape(28, 28))
    plt.close()
    return dw1
