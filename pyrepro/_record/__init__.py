"""Told, and made again."""
