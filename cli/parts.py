"""The parts of the system one by one, as production runs them. Each reads `ORDERLOOM_…`, see `settings.py`."""

import asyncio
import socket
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import typer

if TYPE_CHECKING:
    from settings import Settings

commands = typer.Typer()
T = TypeVar("T")


@commands.command(rich_help_panel="Parts, for production")
def migrate() -> None:
    """Bring the database and the Temporal namespace to what this version needs. Safe to repeat."""
    from models import database

    settings = _settings()
    database.upgrade(settings.owner_database_url)
    _temporal(_register_search_attributes(settings))


@commands.command(rich_help_panel="Parts, for production")
def worker() -> None:
    """Run a worker until it is asked to stop."""
    import worker as root

    root.main(_settings())


@commands.command(rich_help_panel="Parts, for production")
def server() -> None:
    """Run the API until it is asked to stop."""
    import server as root

    root.main(_settings())


@commands.command(rich_help_panel="Parts, for production")
def polls() -> None:
    """Exit 0 if a worker of this host polls the task queue: the health check of a worker."""
    raise typer.Exit(0 if _temporal(_polls(_settings())) else 1)


def _temporal(asked: Coroutine[Any, Any, T]) -> T:
    """Ask Temporal; say so and exit 1 when it does not answer."""
    from embedded.process import NotReady

    try:
        return asyncio.run(asked)
    except NotReady as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1) from None


async def _polls(settings: "Settings") -> bool:
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    from embedded import temporal

    client = await temporal.connect(settings.temporal_address, namespace=settings.temporal_namespace, within_s=10)
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=settings.task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return any(poller.identity.endswith(f"@{socket.gethostname()}") for poller in described.pollers)


async def _register_search_attributes(settings: "Settings") -> None:
    from embedded import temporal
    from workflows import search_attributes

    client = await temporal.connect(settings.temporal_address, namespace=settings.temporal_namespace)
    await temporal.register(client, search_attributes.ALL)


def _settings() -> "Settings":
    from pydantic import ValidationError

    from settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            field = "_".join(str(part) for part in problem["loc"])
            typer.echo(f"ORDERLOOM_{field.upper()}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None
