# %%
import threading
import time

started = 0
try:
    while started < 200:
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        started += 1
except RuntimeError:  # can't start new thread
    pass
