"""What a service counts about itself, for Prometheus."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

RPC_TOTAL: Final = Counter(
    "dfip_rpc_total", "RPCs handled, by their outcome.", ["service", "method", "code"]
)
RPC_SECONDS: Final = Histogram(
    "dfip_rpc_seconds",
    "Time of unary RPCs from their first message to their answer.",
    ["service", "method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
RPC_STREAMS: Final = Gauge("dfip_rpc_streams", "Streams that are open.", ["service", "method"])


def serve_metrics(port: int) -> None:
    """Offer the figures on ``http://127.0.0.1:<port>/metrics``."""
    start_http_server(port, addr="127.0.0.1")
