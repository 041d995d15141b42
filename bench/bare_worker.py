"""The worker of the reference workflow, with every setting of the real one: `python -m bench.bare_worker`."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

from temporalio.client import Client

import worker
from bench.bare_six import BareSix, nothing
from settings import Settings
from workflows.payloads import DATA_CONVERTER


async def run(settings: Settings) -> None:
    """Work until SIGTERM."""
    client = await Client.connect(
        settings.temporal_address, namespace=settings.temporal_namespace, data_converter=DATA_CONVERTER
    )
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    with ThreadPoolExecutor(settings.worker_threads) as threads:
        working = worker.create(
            client,
            task_queue=settings.task_queue,
            workflows=[BareSix],
            activities=[nothing],
            threads=settings.worker_threads,
            executor=threads,
            cached_workflows=settings.worker_cached_workflows,
            runner=worker.runner(settings.workflow_sandbox),
        )
        worker.spare_the_collector()
        async with working:
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(run(Settings()))
