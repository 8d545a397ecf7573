"""Prints a token: `python scripts/token.py --user alice --role admin --ttl 12h` (scripts/mint.py).

Must do nothing but call scripts/mint.py, because of its name. Python puts the folder of a script
first on sys.path, so that this file would hide the standard library's `token`, which much of the
library imports. It therefore takes its folder off the path before it imports anything. When another
script of this folder imports `token`, this file hands over to the real one.
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
