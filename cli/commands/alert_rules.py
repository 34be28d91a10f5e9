"""`dfip alert-rules …`: what raises alerts."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.commands.running import confirmed, run
from cli.completion import complete_camera, complete_person
from cli.options import FLAG, AsJson, OutputForm, Server, TokenFile, Yes

app = typer.Typer(no_args_is_help=True, help="Make rules that raise alerts, list and remove them.")

Rule = Annotated[str, typer.Argument(metavar="ID|NAME", help="The rule.", show_default=False)]


class Kind(StrEnum):
    """What a rule watches for."""

    PERSON_SEEN = "person_seen"
    WATCH_LIST_SEEN = "watch_list_seen"
    UNKNOWN_SEEN = "unknown_seen"
    CAMERA_UNHEALTHY = "camera_unhealthy"
    WORKER_ERROR = "worker_error"
    OCCUPANCY_OVER = "occupancy_over"


class Severity(StrEnum):
    """How grave an alert is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Health(StrEnum):
    """Health of a camera that a rule may watch for."""

    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


@app.command("list")
def list_(
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """List the rules.

    In a pipe: id, name, kind, severity, enabled, cooldown in seconds, condition, description.
    """
    from cli.client.access import find_access
    from cli.client.rules import list_rules
    from cli.output import Output

    run(list_rules(find_access(server, token_file), Output(as_json=as_json, form=form)))


@app.command()
def add(
    kind: Annotated[Kind, typer.Argument(help="What to watch for.", show_default=False)],
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What to call it.", show_default=False)
    ],
    *,
    person: Annotated[
        str,
        typer.Option(
            metavar="ID|NAME",
            help="The person, for person_seen.",
            show_default=False,
            autocompletion=complete_person,
        ),
    ] = "",
    watch_list: Annotated[
        str,
        typer.Option(
            metavar="ID|NAME", help="The watch list, for watch_list_seen.", show_default=False
        ),
    ] = "",
    camera: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|NAME",
            help="Only at this camera; may be given several times.",
            show_default=False,
            autocompletion=complete_camera,
        ),
    ] = None,
    zone: Annotated[str, typer.Option(help="Only in this zone.", show_default=False)] = "",
    day: Annotated[
        list[Day] | None,
        typer.Option(help="Only on this day; may be given several times.", show_default=False),
    ] = None,
    start: Annotated[
        str, typer.Option("--from", metavar="HH:MM", help="Only from then on.", show_default=False)
    ] = "",
    end: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="HH:MM",
            help="Only until then; the next day, where it is not after --from.",
            show_default=False,
        ),
    ] = "",
    time_zone: Annotated[
        str,
        typer.Option(
            metavar="ZONE", help="Whose clock, such as Europe/Berlin; UTC.", show_default=False
        ),
    ] = "",
    min_score: Annotated[
        float | None,
        typer.Option(min=-1, max=1, help="Only from this similarity on.", show_default=False),
    ] = None,
    over: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=1_000_000,
            metavar="N",
            help="More people than this, for occupancy_over.",
            show_default=False,
        ),
    ] = None,
    for_: Annotated[
        str,
        typer.Option("--for", metavar="TIME", help="For at least 30s, 5m, 1h.", show_default=False),
    ] = "",
    health: Annotated[
        list[Health] | None,
        typer.Option(
            help="For camera_unhealthy, several times for several; unhealthy and unknown.",
            show_default=False,
        ),
    ] = None,
    severity: Annotated[Severity, typer.Option(help="How grave it is.")] = Severity.WARNING,
    cooldown: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="How long the same subject raises no further alert: 0, 90s, 1h. Without it: 60s.",
            show_default=False,
        ),
    ] = "",
    description: Annotated[str, typer.Option(help="What it is for.", show_default=False)] = "",
    disabled: Annotated[
        bool, typer.Option("--disabled", metavar=FLAG, help="Raise nothing yet.")
    ] = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Make a rule."""
    from cli.client.access import find_access
    from cli.client.rules import WantedCondition, add_rule
    from cli.client.tokens import parse_lifetime
    from cli.output import Output

    run(
        add_rule(
            find_access(server, token_file),
            Output(as_json=as_json, form=form),
            kind=kind.value,
            name=name,
            description=description,
            severity=severity.value,
            cooldown_s=parse_lifetime(cooldown) if cooldown else None,
            enabled=not disabled,
            wanted=WantedCondition(
                person=person,
                watch_list=watch_list,
                cameras=camera or (),
                zone=zone,
                days=[one.value for one in day or ()],
                start=start,
                end=end,
                time_zone=time_zone,
                min_score=min_score,
                over=over,
                for_s=parse_lifetime(for_) if for_ else 0,
                health=[one.value for one in health or ()],
            ),
        )
    )


@app.command()
def enable(
    rule: Rule,
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Let a rule raise alerts from now on."""
    from cli.client.access import find_access
    from cli.client.rules import set_rule_enabled
    from cli.output import Output

    output = Output(as_json=as_json, form=form)
    run(set_rule_enabled(find_access(server, token_file), output, rule=rule, enabled=True))


@app.command()
def disable(
    rule: Rule,
    *,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Have a rule raise nothing."""
    from cli.client.access import find_access
    from cli.client.rules import set_rule_enabled
    from cli.output import Output

    output = Output(as_json=as_json, form=form)
    run(set_rule_enabled(find_access(server, token_file), output, rule=rule, enabled=False))


@app.command()
def rm(
    rule: Rule,
    *,
    yes: Yes = False,
    server: Server = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
    form: OutputForm = None,
) -> None:
    """Remove a rule; its alerts stay."""
    from cli.client.access import find_access
    from cli.client.rules import remove_rule
    from cli.output import Output
    from cli.talk import Talk

    access = find_access(server, token_file)
    confirmed(f"Remove the rule {rule}?", yes=yes)
    run(remove_rule(access, Output(as_json=as_json, form=form), Talk(), rule=rule))
