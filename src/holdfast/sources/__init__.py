"""What arrives: files to rows and rejects."""
