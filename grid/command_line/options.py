"""Options that several commands share. Imports nothing heavy: every command pays for it."""

from typing import Annotated

import typer

Sources = Annotated[
    list[str],
    typer.Argument(help="Studies (folders, URIs, globs), or .csv and .parquet tables."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        help="Tables: our column = theirs, such as safety=trust or safety_se=trust_sd. Repeat it.",
    ),
]
Objectives = Annotated[
    list[str] | None,
    typer.Option(
        "--objective",
        help="Instead of the study's: metric=max or metric=min. Repeat it.",
    ),
]
Judge = Annotated[
    str | None, typer.Option(help="Rates as this judge reads the answers (trilemma judge).")
]
