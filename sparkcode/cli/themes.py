"""``sparkcode themes``: list the screen's themes and check their contrast."""

from __future__ import annotations

import json

import click


@click.group("themes")
def themes() -> None:
    """Show the screen's themes and check their contrast."""


@themes.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def list_themes(as_json: bool) -> None:
    """Show every theme and the file it comes from."""
    from sparkcode.tui.theme import DEFAULT_THEME, load_themes

    found = load_themes()
    rows = [
        {
            "name": theme.name,
            "default": theme.name == DEFAULT_THEME,
            "dark": theme.dark,
            "path": theme.origin,
        }
        for theme in found.themes.values()
    ]
    if as_json:
        click.echo(json.dumps({"themes": rows, "problems": list(found.problems)}))
        return
    for row in rows:
        kind = "dark" if row["dark"] else "light"
        click.echo(f"{row['name']:<16} {kind:<6} {row['path']}")
    for problem in found.problems:
        click.echo(f"skipped: {problem}", err=True)


@themes.command("check")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.pass_context
def check(ctx: click.Context, name: str | None, as_json: bool) -> None:
    """Compute the contrast of every pair of colours, in all themes or in NAME.

    Text needs 4.5, lines need 3; the exit status is 1 if a pair is below.
    """
    from sparkcode.tui.theme import load_themes, readings

    found = load_themes()
    chosen = list(found.themes.values()) if name is None else [found.get(name)]
    failed = bool(found.problems) and name is None
    report = []
    for theme in chosen:
        pairs = readings(theme)
        bad = [pair for pair in pairs if not pair.passed]
        failed = failed or bool(bad)
        lowest = min(pair.ratio for pair in pairs)
        report.append(
            {
                "name": theme.name,
                "pairs": len(pairs),
                "lowest": round(lowest, 2),
                "failed": [
                    {
                        "what": pair.what,
                        "foreground": pair.foreground,
                        "background": pair.background,
                        "ratio": round(pair.ratio, 2),
                        "bar": pair.bar,
                    }
                    for pair in bad
                ],
            }
        )
        if not as_json:
            verdict = "ok" if not bad else f"{len(bad)} too low"
            click.echo(f"{theme.name:<16} {len(pairs)} pairs, lowest {lowest:.2f}: {verdict}")
            for pair in bad:
                click.echo(
                    f"  {pair.what}: {pair.foreground} on {pair.background} is"
                    f" {pair.ratio:.2f}, below {pair.bar}"
                )
    if as_json:
        click.echo(json.dumps({"themes": report, "problems": list(found.problems)}))
    else:
        for problem in found.problems:
            click.echo(f"skipped: {problem}", err=True)
    ctx.exit(1 if failed else 0)
