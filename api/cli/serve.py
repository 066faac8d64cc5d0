"""`muniment serve`: a node on a data folder, until it is told to stop."""

from pathlib import Path
from typing import Annotated

import typer

from api.cli.door import Json
from api.configuration import from_environment
from api.http import structured_log


def serve(
    data: Annotated[
        Path | None, typer.Option(help="The data folder; made if it isn't there (MUNIMENT_DATA; data).")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Where to listen (MUNIMENT_HOST; 127.0.0.1).")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one (MUNIMENT_PORT; 8420).")
    ] = None,
    json: Json = False,
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="Go on although the clock is far ahead of the last event.")
    ] = False,
    new_operator_key: Annotated[
        bool, typer.Option("--new-operator-key", help="Make a new operator's key; the one before is worthless.")
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of",
            metavar="MOMENT",
            help="Read-only, as everything was: a time with an offset, or TENANT:POSITION. Also beside a running node.",
        ),
    ] = None,
) -> None:
    """Start a node, and print where it answers and the operator's key."""
    configuration = from_environment(
        data=data, host=host, port=port, accept_clock=accept_clock, new_operator_key=new_operator_key
    )
    structured_log.configure(level=configuration.log_level)
    if as_of is not None:
        from api.cli import serving_as_of

        serving_as_of.run(configuration, as_of, json=json)
        return
    from api.cli.serving import run  # takes a second, which the other commands don't need

    run(configuration, json=json)
