"""`dfip watch-lists …`: people whom rules name together."""

from typing import Annotated

import typer

from cli.commands.running import confirmed, run
from cli.completion import complete_person
from cli.options import AsJson, OutputForm, Server, TokenFile, Yes

app = typer.Typer(no_args_is_help=True, help="Keep lists of people for rules.")

WatchList = Annotated[
    str, typer.Argument(metavar="LIST", help="The watch list, by id or name.", show_default=False)
]
People = Annotated[
    list[str],
    typer.Argument(
        metavar="PERSON...",
        help="People by id or name.",
        show_default=False,
        autocompletion=complete_person,
    ),
]


@app.command("list")
def list_(
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the watch lists.

    In a pipe: id, name, ids of the people with commas between, description.
    """
    from cli.client.access import find_access
    from cli.client.watch_lists import list_watch_lists
    from cli.output import Output

    run(list_watch_lists(find_access(server, token_file), Output(as_json=as_json, form=form)))


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)
    ],
    people: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PERSON...]",
            help="People by id or name.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ] = None,
    *,
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make a watch list."""
    from cli.client.access import find_access
    from cli.client.watch_lists import create_watch_list
    from cli.output import Output

    run(
        create_watch_list(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            name=name,
            description=description,
            people=people or (),
        )
    )


@app.command()
def add(
    watch_list: WatchList,
    people: People,
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Put people on a watch list."""
    from cli.client.access import find_access
    from cli.client.watch_lists import change_members
    from cli.output import Output

    output = Output(as_json=as_json, form=form)
    run(
        change_members(find_access(server, token_file), output, watch_list=watch_list, added=people)
    )


@app.command()
def remove(
    watch_list: WatchList,
    people: People,
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Take people off a watch list."""
    from cli.client.access import find_access
    from cli.client.watch_lists import change_members
    from cli.output import Output

    output = Output(as_json=as_json, form=form)
    run(
        change_members(
            find_access(server, token_file), output, watch_list=watch_list, removed=people
        )
    )


@app.command()
def rm(
    watch_list: WatchList,
    *,
    yes: Yes = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Remove a watch list that no rule names."""
    from cli.client.access import find_access
    from cli.client.watch_lists import remove_watch_list
    from cli.output import Output
    from cli.talk import Talk

    access = find_access(server, token_file)
    confirmed(f"Remove the watch list {watch_list}?", yes=yes)
    output = Output(as_json=as_json, form=form)
    run(remove_watch_list(access, output, Talk(), watch_list=watch_list))
