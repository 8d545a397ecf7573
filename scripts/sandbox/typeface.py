"""The type of the payment page: what the dashboard was built with, or else the system's.

The sandbox serves it itself, so that the page asks nothing of another host.
"""

from pathlib import Path

from aiohttp import web

PATH = "/sandbox/checkout/type/{name}"
BUILT = Path(__file__).parents[2] / "bridge" / "dashboard" / "dist" / "assets"
_LATIN = "U+0000-00FF, U+2000-206F, U+2212"
# The rupee's sign is in the extended part.
_EXTENDED = "U+0100-02FF, U+1E00-1EFF, U+20A0-20AB, U+20AD-20C0"
_FACES = {
    "inter-latin": ("Inter Variable", _LATIN),
    "inter-latin-ext": ("Inter Variable", _EXTENDED),
    "source-serif-4-latin": ("Source Serif 4 Variable", _LATIN),
    "source-serif-4-latin-ext": ("Source Serif 4 Variable", _EXTENDED),
}


class Typefaces:
    """Those of the page that `folder` has."""

    def __init__(self, folder: Path = BUILT) -> None:
        found = {name: next(folder.glob(f"{name}-wght-*.woff2"), None) for name in _FACES}
        self._files = {name: path for name, path in found.items() if path}

    def style(self) -> str:
        """Write the rules that name them."""
        return "\n".join(map(_rule, self._files))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one by its name."""
        path = self._files.get(request.match_info["name"])
        # A new build of the dashboard takes the old file away.
        if path is None or not path.exists():
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={"Cache-Control": "max-age=3600"})


def _rule(name: str) -> str:
    family, characters = _FACES[name]
    return (
        f"@font-face {{ font-family: '{family}'; font-weight: 100 900; font-display: swap;"
        f" src: url({PATH.format(name=name)}) format('woff2'); unicode-range: {characters}; }}"
    )
