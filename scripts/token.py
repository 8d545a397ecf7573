"""Prints a token: `python scripts/token.py --user alice --role admin --ttl 12h` (scripts/mint.py).

Must stay a front door and nothing else. A script that is run by its path finds its own folder
first on sys.path, and in this folder the file has the name of the standard library's `token`,
which half of the library needs: so that folder leaves the path before anything is imported, and
where another script's imports arrive here by mistake they are shown on to the real one.
"""

import os
import sys

folder = os.path.dirname(os.path.abspath(__file__))
if __name__ in ("__main__", "token"):
    others = [entry for entry in sys.path if os.path.abspath(entry) != folder]
    sys.path[:] = [os.path.dirname(folder), *others]

if __name__ == "token":
    del sys.modules["token"]
    import token  # noqa: F401 (the import system takes what stands in sys.modules afterwards)

if __name__ == "__main__":
    from scripts.mint import main

    main()
