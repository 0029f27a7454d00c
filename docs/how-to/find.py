import pyrepro

for path in pyrepro.find("out/model.txt", where={"alpha": 100}):
    print(path)
print(pyrepro.records("out/model.txt"))
