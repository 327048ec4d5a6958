"""Numbers know no places: arrays in, numbers out."""
