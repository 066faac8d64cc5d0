"""The trail in files: formats that other programs read, and jobs that write them."""
