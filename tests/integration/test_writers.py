"""Writers that people use, each plain, atomic, cached and recorded: the same files, or one warning that says what differs."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Repository

from pyrepro import Artifact

PROGRAM = """\
import contextlib, json, logging, os, pickle, shutil, sqlite3, subprocess, sys, zipfile, tarfile, shelve, csv, gzip
from pyrepro import Artifact

name = sys.argv[1]

def frame():
    import pandas
    return pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]})

def figure():
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot
    return pyplot.plot([1, 2])[0].figure

def points():
    import geopandas, shapely
    return geopandas.GeoDataFrame({"a": [1]}, geometry=[shapely.Point(0, 0)], crs="EPSG:4326")

def dataset():
    import xarray
    return xarray.Dataset({"a": ("x", [1.0, 2.0])})

def numpy_npy(p):
    import numpy
    numpy.save(p, numpy.arange(3))

def numpy_npz(p):
    import numpy
    numpy.savez(p, a=numpy.arange(3))

def numpy_text(p):
    import numpy
    numpy.savetxt(p, numpy.arange(3))

def numpy_memmap(p):
    import numpy
    array = numpy.memmap(p, dtype="f4", mode="w+", shape=(3,))
    array[:] = 1
    array.flush()

def numpy_tofile(p):
    import numpy
    numpy.arange(3).tofile(p)

def pandas_csv(p): frame().to_csv(p)
def pandas_json(p): frame().to_json(p)
def pandas_pickle(p): frame().to_pickle(p)
def pandas_html(p): frame().to_html(p)
def pandas_parquet(p): frame().to_parquet(p)
def pandas_feather(p): frame().to_feather(p)
def pandas_excel(p): frame().to_excel(p)
def pandas_partitioned(p): frame().to_parquet(p, partition_cols=["b"])

def polars_csv(p):
    import polars
    polars.DataFrame({"a": [1]}).write_csv(p)

def polars_parquet(p):
    import polars
    polars.DataFrame({"a": [1]}).write_parquet(p)

def polars_sink(p):
    import polars
    polars.LazyFrame({"a": [1]}).sink_parquet(p)

def pyarrow_table(p):
    import pyarrow, pyarrow.parquet
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), p)

def pyarrow_ipc(p):
    import pyarrow
    table = pyarrow.table({"a": [1]})
    with pyarrow.OSFile(p, "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)

def pyarrow_dataset(p):
    import pyarrow, pyarrow.dataset
    pyarrow.dataset.write_dataset(pyarrow.table({"a": [1]}), p, format="parquet")

def xarray_netcdf(p): dataset().to_netcdf(p)
def xarray_zarr(p): dataset().to_zarr(p)

def zarr_array(p):
    import zarr
    zarr.open(p, mode="w", shape=(4,), chunks=(2,), dtype="f4")[:] = 1

def h5py_file(p):
    import h5py
    with h5py.File(p, "w") as file:
        file["a"] = [1, 2]

def matplotlib_png(p): figure().savefig(p)
def matplotlib_pdf(p): figure().savefig(p)
def matplotlib_svg(p): figure().savefig(p)

def plotly_html(p):
    import plotly.graph_objects
    plotly.graph_objects.Figure().write_html(p, include_plotlyjs=False, div_id="d")

def plotly_json(p):
    import plotly.graph_objects
    plotly.graph_objects.Figure().write_json(p)

def joblib_dump(p):
    import joblib
    joblib.dump([1], p)

def lightgbm_model(p):
    import lightgbm, numpy
    data = lightgbm.Dataset(numpy.arange(20.0).reshape(-1, 1), numpy.arange(20) % 2)
    lightgbm.train({"verbose": -1, "num_threads": 1}, data, 1).save_model(p)

def geopandas_shapefile(p): points().to_file(p)
def geopandas_geojson(p): points().to_file(p, driver="GeoJSON")
def geopandas_geopackage(p): points().to_file(p, driver="GPKG")
def geopandas_parquet(p): points().to_parquet(p)

def rasterio_geotiff(p):
    import numpy, rasterio
    with rasterio.open(p, "w", driver="GTiff", width=2, height=2, count=1, dtype="uint8", transform=rasterio.Affine.scale(2)) as file:
        file.write(numpy.ones((1, 2, 2), "uint8"))

def sqlite_database(p):
    with contextlib.closing(sqlite3.connect(p)) as connection:
        connection.execute("create table t (x)")
        connection.commit()

def sqlite_wal(p):
    with contextlib.closing(sqlite3.connect(p)) as connection:
        connection.execute("pragma journal_mode=wal")
        connection.execute("create table t (x)")
        connection.commit()

def duckdb_database(p):
    import duckdb
    with duckdb.connect(p) as connection:
        connection.execute("create table t as select 1")

def duckdb_copy(p):
    import duckdb
    duckdb.sql("select 1").write_parquet(p)

def pickle_dump(p):
    with open(p, "wb") as file:
        pickle.dump([1], file)

def json_dump(p):
    with open(p, "w") as file:
        json.dump([1], file)

def csv_rows(p):
    with open(p, "w", newline="") as file:
        csv.writer(file).writerow([1])

def gzip_file(p):
    with gzip.GzipFile(p, "wb", mtime=0) as file:
        file.write(b"x")

def zip_file(p):
    with zipfile.ZipFile(p, "w") as file:
        file.writestr("a", "x")

def tar_file(p):
    with tarfile.open(p, "w") as file:
        file.add(__file__, "a")

def archive(p): shutil.make_archive(os.path.splitext(p)[0], "zip", os.path.dirname(__file__), "writers.py")

def shelve_file(p):
    with shelve.open(p) as file:
        file["a"] = 1

def logging_file(p):
    handler = logging.FileHandler(p)
    handler.emit(logging.LogRecord("a", logging.INFO, "", 0, "x", None, None))
    handler.close()

def shell_redirect(p): subprocess.run(f"echo x > {p}", shell=True, check=True)
def shell_copy(p): subprocess.run(["cp", __file__, p], check=True)
def shell_tree(p): subprocess.run(f"mkdir -p {p}/a && touch {p}/a/b && ln -s a/b {p}/link", shell=True, check=True)
def shell_sqlite(p): subprocess.run(["sqlite3", p, "create table t (x)"], check=True)

def replaced(p):
    with open(p + ".tmp", "w") as file:
        file.write("x")
    os.replace(p + ".tmp", p)

# What differs is warned of.

def open_zarr(p):
    zarr_array(p)
    import zarr
    return zarr.open(p)

def open_xarray(p):
    dataset().to_netcdf(p)
    import xarray
    return xarray.open_dataset(p)

def open_sqlite(p):
    connection = sqlite3.connect(p)
    connection.execute("create table t (x)")
    connection.commit()
    connection.execute("insert into t values (1)")
    return connection

def scan_polars(p):
    import polars
    polars_parquet(p)
    return polars.scan_parquet(p)

def open_duckdb(p):
    import duckdb
    duckdb_copy(p)
    return duckdb.read_parquet(p)

def open_pyarrow(p):
    import pyarrow.dataset
    pyarrow_table(p)
    return pyarrow.dataset.dataset(p)

def untagged(p):
    with open(os.path.join(os.path.dirname(p), "about.txt"), "w") as file:
        file.write("x")
    json_dump(p)

function = globals()[name]

def decorated(**options):
    @Artifact("outpath", ignore="writer", **options)
    def save(outpath, writer=name):
        return function(outpath)
    return save

class Told(logging.Handler):
    def emit(self, record):
        told.append(record.getMessage())

logging.getLogger("pyrepro").addHandler(Told(logging.WARNING))
suffixes = {"matplotlib_png": ".png", "matplotlib_pdf": ".pdf", "matplotlib_svg": ".svg", "pandas_excel": ".xlsx",
            "geopandas_shapefile": ".shp", "numpy_npy": ".npy", "numpy_npz": ".npz", "archive": ".zip", "open_xarray": ".nc"}
kept, everything_told = [], {}
for mode in ("plain", "atomic", "cache", "record"):
    os.makedirs(f"{mode}/out")
    os.chdir(mode)
    told = everything_told[mode] = []
    try:
        kept.append(decorated(**({mode: True} if mode != "plain" else {}))("out/foo" + suffixes.get(name, ".dat")))
    except TypeError as error:
        told.append(str(error))
    os.chdir("..")
print(json.dumps(everything_told))
"""

PACKAGES = {
    "numpy", "pandas", "polars", "pyarrow", "xarray", "zarr", "h5py", "matplotlib", "plotly", "joblib", "lightgbm",
    "geopandas", "rasterio", "duckdb",
}  # fmt: skip
ALSO = {
    "pandas_parquet": "pyarrow", "pandas_feather": "pyarrow", "pandas_partitioned": "pyarrow",
    "pandas_excel": "openpyxl", "xarray_netcdf": "netCDF4", "xarray_zarr": "zarr", "open_zarr": "zarr",
    "open_xarray": "netCDF4", "open_duckdb": "duckdb", "open_pyarrow": "pyarrow", "scan_polars": "polars", "geopandas_parquet": "pyarrow",
}  # fmt: skip
USED = ["open_zarr", "open_xarray", "open_sqlite", "open_duckdb", "open_pyarrow", "scan_polars"]
WRITERS = re.findall(r"^def (\w+)\(p\)", PROGRAM, flags=re.MULTILINE)


def files_in(directory: Path) -> Iterator[str]:
    for above, directories, names in os.walk(directory):
        directories[:] = [name for name in directories if name != ".pyrepro"]
        # What pyarrow calls its parts is random.
        yield from (
            re.sub(r"[0-9a-f]{32}-0\.parquet", "part.parquet", os.path.relpath(os.path.join(above, name), directory))
            for name in names
            if not name.endswith(".pyrepro.json")
        )


@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_writes_the_same_files_in_every_mode_or_one_warning_says_what_differs(
    writer: str, repository: Repository, tmp_path: Path
) -> None:
    package = writer.partition("_")[0]
    for needed in {package} & PACKAGES | {ALSO.get(writer, "os")}:
        if importlib.util.find_spec(needed) is None:
            pytest.skip(f"the package {needed} is not installed")
    repository.write("writers.py", PROGRAM)
    repository.commit()
    done = repository.run(repository.path / "writers.py", writer, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    written = {mode: sorted(files_in(tmp_path / mode / "out")) for mode in told}
    assert written["plain"], "the writer wrote nothing"
    # A database with an open transaction leaves its journal beside it, which the warning says is still open.
    assert writer in USED or all(names == written["plain"] for names in written.values()), written
    differs = int(writer in [*USED, "untagged"])
    # A cached function that returns a value of its own is refused, once its artifact is in place.
    refused = int(writer in USED)
    numbers = {"plain": 0, "atomic": differs, "cache": differs + refused, "record": differs}
    assert {mode: len(texts) for mode, texts in told.items()} == numbers, told
    assert not refused or "could not return without running" in told["cache"][-1]


@pytest.mark.parametrize("is_directory", [True, False])
def test_an_lmdb_database_is_found_again_after_it_was_read(
    is_directory: bool, repository: Repository, tmp_path: Path
) -> None:
    lmdb = pytest.importorskip("lmdb")
    runs = []

    @Artifact("outpath", repo=repository.path, cache=True, ignore="is_directory")
    def save(outpath: str) -> None:
        runs.append(1)
        with lmdb.open(outpath, subdir=is_directory) as database, database.begin(write=True) as transaction:
            transaction.put(b"a", b"1")

    path = save(str(tmp_path / "table.lmdb"))
    with lmdb.open(path, subdir=is_directory, readonly=True) as database, database.begin() as transaction:
        assert transaction.get(b"a") == b"1"
    save(str(tmp_path / "table.lmdb"))
    assert runs == [1]


def test_an_lmdb_database_is_the_same_input_after_it_was_read(repository: Repository, tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb")
    table = str(tmp_path / "table.lmdb")
    lmdb.open(table).close()

    @Artifact("outpath", repo=repository.path, config=dict, inputs="table", cache=True)
    def count(outpath: str, table: str) -> None:
        with lmdb.open(table, readonly=True) as database, database.begin() as transaction:
            Path(outpath).write_text(str(transaction.stat()["entries"]))

    path = count(str(tmp_path / "count.txt"), table)
    assert Path(path).read_text() == "0"
    with lmdb.open(table) as database, database.begin():
        assert count.tagged(str(tmp_path / "count.txt"), table) == path
