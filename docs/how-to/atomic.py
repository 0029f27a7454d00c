from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, atomic=True)
def count_words(text, outpath):
    with open(outpath, "w") as outf:
        for word in sorted(set(text.split())):
            outf.write(f"{word}\t{text.split().count(word)}\n")
    return outpath


print(count_words("the cat and the hat", outpath="out/words.tsv"))
