"""In place, once."""
