"""All services of the contracts, each with an object that answers every RPC as not implemented."""

import importlib
import pkgutil
from collections.abc import Iterator

import dfip
from service_runtime.server import Binding


def _services() -> Iterator[Binding]:
    for module in sorted(m.name for m in pkgutil.walk_packages(dfip.__path__, "dfip.")):
        if not module.endswith("_pb2"):
            continue
        for service in importlib.import_module(module).DESCRIPTOR.services_by_name.values():
            stubs = importlib.import_module(f"{module}_grpc")
            yield Binding(
                descriptor=service,
                add=getattr(stubs, f"add_{service.name}Servicer_to_server"),
                servicer=getattr(stubs, f"{service.name}Servicer")(),
            )


SERVICES = list(_services())
