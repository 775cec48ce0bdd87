# Costs: nothing
# Daemons of all kinds, from cells: with other names, sessions, groups and parents; stopped, and deaf to signals.
# %%
import ctypes, os, signal, sys, time
def daemon(what):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 65):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError):
                    pass
            ctypes.CDLL(None).prctl(15, b"kthreadd/0")
            ctypes.CDLL(None).prctl(36, 1)
            os.closerange(0, 600)
            what()
            os._exit(0)
        os._exit(0)
    os.wait()
def forever():
    while True:
        time.sleep(1)
        if os.fork():
            os._exit(0)  # another process number each second
        os.setsid()
daemon(forever)
daemon(lambda: os.kill(os.getpid(), signal.SIGSTOP))
daemon(lambda: os.execv("/bin/sh", ["sh", "-c", "trap '' TERM HUP INT; (sleep 300 & sleep 300 & wait) & wait"]))
os.system("nohup setsid sleep 300 >/dev/null 2>&1 &")
# %%
def grad_b1(dz1):
    return dz1.sum(0, keepdim=True)
