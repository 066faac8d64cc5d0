"""`python -m api.cli`: the same commands where the script is not on the path."""

from api.cli import main

if __name__ == "__main__":
    main()
