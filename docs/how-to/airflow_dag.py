import datetime

import steps
from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime.datetime(2026, 1, 1))
def numbers():
    @task
    def clean():
        return steps.clean("raw.txt", "out/clean.txt")

    @task
    def total(table):
        return steps.total(table, "out/total.txt")

    total(clean())


numbers()
