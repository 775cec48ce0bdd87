# %%
# Folders in folders, deeper than a recursion goes and than a path can be, and folders that nobody may enter.
import os

here = os.getcwd()
for _ in range(3_000):
    os.mkdir("d")
    os.chdir("d")
os.chdir(here)
os.makedirs("closed/inner")
os.chmod("closed/inner", 0)
os.chmod("closed", 0)
