# %%
import os
import time

try:
    for _ in range(200):
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
except BlockingIOError:
    pass
