"""Helpers of the Python tests. Nothing here is part of the product."""
