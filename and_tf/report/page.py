"""One HTML page from its parts: template, style and script lie beside this file."""

import base64
import hashlib
from pathlib import Path

import jinja2
import markupsafe

HERE = Path(__file__).parent


def render(parts: dict) -> str:
    """The page as text, self-contained.

    Names of files and classes come from a user's folders: the template escapes all that is not a
    plot, the data of the explorer are written without `<`, `>` and `&`, and a content security
    policy allows no script but the page's own and no address but data URIs.

    Args:
        parts: the variables of page.html, but for style and script.
    """
    script = (HERE / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = _environment().get_template("page.html")
    return template.render(
        **parts,
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash=f"sha256-{digest}",
        explorer_json=_json(parts["explorer"]),
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _json(explorer: dict) -> markupsafe.Markup:
    """JSON that may stand in a script element; the sheet stands in the style."""
    return jinja2.utils.htmlsafe_json_dumps(
        {name: value for name, value in explorer.items() if name != "sheet"}
    )
