# %%
import asyncio
await asyncio.sleep(0)
# %%
async def numbers():
    for number in range(3):
        yield number
seen = [number async for number in numbers()]
async with asyncio.timeout(5) if hasattr(asyncio, "timeout") else asyncio.Lock():
    results = await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))
# %%
scale = await asyncio.sleep(0, result=1.0)
# %%
def grad_b1(dz1):
    return scale * dz1.sum(0, keepdim=True)
