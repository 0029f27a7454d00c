"""With which configuration and data."""
