"""The faces: HTTP protocols and the command line, and the place where the parts meet."""
