import sqlite3

from pyrepro import Artifact


@Artifact(keyword="outpath", config=dict, cache=True, record=True)
def save(outpath: str, rows: int) -> None:
    connection = sqlite3.connect(outpath)
    connection.execute("create table numbers (n integer)")
    connection.executemany("insert into numbers values (?)", [(n,) for n in range(rows)])
    connection.commit()
    connection.close()
