# %% tags=["parameters"]
minimum = 0.0

# %%
import steps

path = steps.clean("raw.txt", "out/clean.txt", minimum=minimum)
print(path)
