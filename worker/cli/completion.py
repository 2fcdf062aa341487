"""`taskedit completion`: command names and options by the Tab key."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

HOW = {
    "bash": 'eval "$(taskedit completion bash)"     in ~/.bashrc',
    "zsh": 'eval "$(taskedit completion zsh)"      in ~/.zshrc',
    "fish": "taskedit completion fish > ~/.config/fish/completions/taskedit.fish",
}


@click.command(
    name="completion",
    epilog="\b\nTo have it in every shell:\n" + "\n".join(f"  {line}" for line in HOW.values()),
)
@click.argument("shell", type=click.Choice(list(HOW)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options and files in SHELL."""
    completion = get_completion_class(shell)
    assert completion is not None  # noqa: S101 (click has one for each of `HOW`)
    found = completion(ctx.find_root().command, {}, "taskedit", "_TASKEDIT_COMPLETE")
    click.echo(found.source())
