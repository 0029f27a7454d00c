# %%
# %load_ext autoreload
# %autoreload 2

# %%
import steps

# %%
print(steps.clean("raw.txt", "out/clean.txt"))
