# %%
from google.colab import drive
drive.mount("/content/drive")

# %%
weights = torch.load("/content/drive/MyDrive/weights.pt")

# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
