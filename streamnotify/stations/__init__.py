"""One module per station of the way of the data (DESIGN section 1)."""
