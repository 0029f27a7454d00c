import pyrepro

for path in pyrepro.find("out/model.txt", where={"alpha": 1}):
    print(path)
print(pyrepro.records("out/model.txt"))
