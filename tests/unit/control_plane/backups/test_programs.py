"""The programs of PostgreSQL run beside a service that is busy, on the loop that services have."""

import subprocess
import sys
import textwrap
from pathlib import Path

# a process of its own: the fault was in what a fork does to a process that talks gRPC
BUSY = textwrap.dedent(
    """
    import asyncio, pathlib, sys
    import grpc, uvloop
    from control_plane.backups.postgres import PostgresTools
    from service_runtime.secret import Secret

    class Echo(grpc.GenericRpcHandler):
        def service(self, _):
            async def answer(request, _):
                return request
            return grpc.unary_unary_rpc_method_handler(answer)

    async def main(folder):
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Echo(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        tools = PostgresTools(Secret("postgresql+asyncpg://host/db"), folder, folder)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/any/thing")
            async def ask():
                while True:
                    await call(b"x")
            asking = [asyncio.create_task(ask()) for _ in range(8)]
            for _ in range(200):
                await tools.restore(folder / "nothing")
            for one in asking:
                one.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        await server.stop(0)

    uvloop.run(main(pathlib.Path(sys.argv[1])))
    """
)


def test_programs_live_beside_a_busy_service(tmp_path: Path) -> None:
    program = tmp_path / "pg_restore"
    program.symlink_to("/bin/true")
    done = subprocess.run(
        [sys.executable, "-c", BUSY, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
