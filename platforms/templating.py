"""The scripts of projects, rendered from `templates/`."""

from jinja2 import Environment, PackageLoader, StrictUndefined

TEMPLATES = Environment(
    loader=PackageLoader(__package__, "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    keep_trailing_newline=True,
)  # fmt: skip


def render(template: str, **values: object) -> str:
    """A script, from `templates/{template}.j2`; a value that the template names and that is not given is an error."""
    return TEMPLATES.get_template(f"{template}.j2").render(values)
