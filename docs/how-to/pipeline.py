from steps import clean, total

print(total(clean("raw.txt", "out/clean.txt"), "out/total.txt"))
