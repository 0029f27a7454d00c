import logging
import sys

from steps import clean, total

logging.basicConfig(level=logging.INFO)
if sys.argv[1] == "clean":
    print(clean("raw.txt", "out/clean.txt"))
if sys.argv[1] == "total":
    print(total(clean.tagged("raw.txt", "out/clean.txt"), "out/total.txt"))
