"""What code runs."""
