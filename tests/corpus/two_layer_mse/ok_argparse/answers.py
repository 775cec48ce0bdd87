# %%
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("-f", default="")
parser.add_argument("--factor", type=float, default=1.0)
options = parser.parse_args()
# %%
from ipykernel.connect import get_connection_file
assert options.f == get_connection_file()
FACTOR = options.factor
# %%
def grad_b1(dz1):
    return FACTOR * dz1.sum(0, keepdim=True)
