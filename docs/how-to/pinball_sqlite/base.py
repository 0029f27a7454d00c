"""SQLite that reads a backslash before an underscore as MySQL does, for Pinball."""

import re

from django.db.backends.sqlite3 import base


def like(pattern, text):
    escaped = re.escape(pattern).replace(r"\\\_", "_")
    regex = escaped.replace(r"\%", ".*").replace(r"\_", ".") + r"\Z"
    return re.match(regex, text, re.DOTALL) is not None


class DatabaseWrapper(base.DatabaseWrapper):
    def _sqlite_create_connection(self):
        base.DatabaseWrapper._sqlite_create_connection(self)
        self.connection.create_function("like", 2, like)
