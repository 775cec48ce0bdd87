"""
`grader lti`: connects a course's portal to learning platforms, and shows what became of the scores.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.commands.options import EXIT_FULL_MARKS, debug_option, login_name, say
from grader.errors import UsageError

if TYPE_CHECKING:
    from grader.portal.lti.tool import Tool

__all__ = ["OpenTool", "lti_commands"]

OpenTool = Callable[[Path], "contextlib.AbstractContextManager[Tool]"]
"""Opens the tool of the course in a folder."""

_folder = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))


def lti_commands(open_tool: OpenTool) -> click.Group:
    """The commands, for courses that are opened like this."""

    @click.group()
    def lti() -> None:
        """Connect the portal of a course to Canvas, Moodle or Open edX."""

    for command in (_addresses, _invite, _add, _platforms, _deployment, _close, _keys, _scores):
        lti.add_command(command(open_tool))
    return lti


def _addresses(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @debug_option
    def addresses(folder: Path) -> int:
        """Print the addresses to enter in a learning platform."""
        with open_tool(folder) as tool:
            _say_if_out_of_reach(tool)
            say(f"  Login initiation:  {tool.base}/lti/login")
            say(f"  Launch, redirect:  {tool.launch_address}")
            say(f"  Deep linking:      {tool.launch_address}")
            say(f"  Public keys:       {tool.base}/lti/jwks")
        return EXIT_FULL_MARKS

    return addresses


def _invite(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @click.option("--days", type=click.IntRange(1, 30), default=3, show_default=True, help="How long it is valid.")
    @debug_option
    def invite(folder: Path, days: int) -> int:
        """Print an address with which one learning platform can register by itself."""
        from grader.portal.lti.registration import invite as make

        with open_tool(folder) as tool:
            _say_if_out_of_reach(tool)
            click.echo(make(tool, by=login_name(), valid_for=dt.timedelta(days=days)))
        return EXIT_FULL_MARKS

    return invite


def _add(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @click.option("--issuer", required=True, help="What the platform calls itself.")
    @click.option("--client", required=True, help="The id that it gave to the portal.")
    @click.option("--login", required=True, help="Its address for authentication requests.")
    @click.option("--token", required=True, help="Its address for access tokens.")
    @click.option("--keys", required=True, help="The address of its public keys.")
    @click.option("--audience", default="", help="Whom requests for tokens address. [default: --token]")
    @click.option("--deployment", multiple=True, help="Repeatable. [default: that of the first launch]")
    @click.option("--title", default="", help="Its name for people. [default: its host]")
    @click.option("--change", is_flag=True, help="It is known, and has other addresses now.")
    @debug_option
    def add(
        folder: Path,
        issuer: str,
        client: str,
        login: str,
        token: str,
        keys: str,
        audience: str,
        deployment: tuple[str, ...],
        title: str,
        change: bool,
    ) -> int:
        """Add a learning platform with the values that it shows."""
        from grader.portal.lti.platforms import add_platform

        with open_tool(folder) as tool:
            added = add_platform(
                tool,
                issuer=issuer,
                client_id=client,
                authorization_address=login,
                token_address=token,
                token_audience=audience,
                keys_address=keys,
                deployments=deployment,
                title=title,
                is_change=change,
                by=login_name(),
            )
        say(f"{added.title} is platform number {added.number}.")
        return EXIT_FULL_MARKS

    return add


def _platforms(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @debug_option
    def platforms(folder: Path) -> int:
        """List the learning platforms."""
        from grader.portal.lti.deployments import deployments_of
        from grader.portal.lti.platforms import platforms as find

        with open_tool(folder) as tool:
            for each in find(tool):
                known = "".join(f", deployment {name}" for name in deployments_of(tool, each.number))
                waiting = ", and the first launch says which deployment" if each.expects_deployment else ""
                waiting = waiting or ("" if known else ", closed")
                say(f"  {each.number}. {each.title}: client {each.client_id} of {each.issuer}{known}{waiting}")
        return EXIT_FULL_MARKS

    return platforms


def _deployment(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @click.argument("number", type=int)
    @click.argument("deployment_id")
    @debug_option
    def deployment(folder: Path, number: int, deployment_id: str) -> int:
        """Let one more deployment of platform NUMBER open the portal."""
        from grader.portal.lti.deployments import add_deployment
        from grader.portal.lti.platforms import find_platform

        with open_tool(folder) as tool:
            found = find_platform(tool, number)
            add_deployment(tool, found.number, deployment_id, by=login_name())
        say(f"The deployment {deployment_id} of {found.title} may open the portal.")
        return EXIT_FULL_MARKS

    return deployment


def _close(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @click.argument("number", type=int)
    @click.argument("deployment_id", required=False)
    @debug_option
    def close(folder: Path, number: int, deployment_id: str | None) -> int:
        """Let platform NUMBER, or one deployment of it, open the portal no more."""
        from grader.portal.lti.deployments import close_platform
        from grader.portal.lti.platforms import find_platform

        with open_tool(folder) as tool:
            found = find_platform(tool, number)
            close_platform(tool, found.number, deployment_id, by=login_name())
        part = f"The deployment {deployment_id} of {found.title}" if deployment_id else found.title
        say(f"{part} may no longer open the portal. People who came from there stay signed in; see the page Roster.")
        return EXIT_FULL_MARKS

    return close


def _keys(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @click.option("--new", "is_new", is_flag=True, help="Publish one more key, which signs from tomorrow on.")
    @click.option("--remove-old", is_flag=True, help="Remove the keys that have been replaced for two days.")
    @debug_option
    def keys(folder: Path, is_new: bool, remove_old: bool) -> int:
        """List the keys that the portal signs with, or change them."""
        from grader.portal.lti.keys import key_dates, make_key, public_keys, remove_old_keys

        with open_tool(folder) as tool:
            public_keys(tool)
            if is_new:
                make_key(tool, by=login_name())
            if remove_old and not remove_old_keys(tool, by=login_name()):
                say("No key is old enough: one is removed when its successor has signed for two days.")
            for kid, signs_from in key_dates(tool):
                say(f"  {kid} signs from {signs_from:%Y-%m-%d %H:%M} UTC")
        return EXIT_FULL_MARKS

    return keys


def _scores(open_tool: OpenTool) -> click.Command:
    @click.command()
    @_folder
    @click.option("--resend", type=int, metavar="NUMBER", help="Send this score, whatever the platform has.")
    @debug_option
    def scores(folder: Path, resend: int | None) -> int:
        """List the scores that platforms did not take, and why; or send one of them again."""
        from grader.portal.lti.outbox import State, entries
        from grader.portal.lti.outbox import resend as send_again

        with open_tool(folder) as tool:
            if resend is not None:
                if not send_again(tool, resend, by=login_name()):
                    raise UsageError(f"There is no such score with the number {resend}.", "Look at the list.")
                say("It is sent within a minute, while the portal runs.")
                return EXIT_FULL_MARKS
            found = entries(tool, [State.CONFLICT, State.REFUSED, State.WAITING])
            for each in found:
                points = f"{each.given:g} of {each.maximum:g}"
                say(f"  {each.number}. {each.subject}, {points}, {each.state.value}: {each.reason}")
            if not found:
                say("All scores are delivered.")
        return EXIT_FULL_MARKS

    return scores


def _say_if_out_of_reach(tool: Tool) -> None:
    if not tool.base.startswith("https://"):
        say(f"No learning platform can use {tool.base}. Write the portal's https address into course.toml: `address`.")
