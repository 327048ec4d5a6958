"""From a delivery's bytes to the dataset's: strangers' files are read in child processes, under limits."""
