"""SQLite for Pinball, whose patterns have a backslash before each underscore, as MySQL reads them."""

import re

from django.db.backends.sqlite3 import base


def like(pattern, text):
    escaped = re.escape(pattern).replace(r"\\\_", "_")
    return re.match(escaped.replace(r"\%", ".*").replace(r"\_", ".") + r"\Z", text, re.DOTALL) is not None


class DatabaseWrapper(base.DatabaseWrapper):
    def _sqlite_create_connection(self):
        base.DatabaseWrapper._sqlite_create_connection(self)
        self.connection.create_function("like", 2, like)
