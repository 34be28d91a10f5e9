"""Builds the contracts: generated Python in ``proto/gen``, and the image that buf checks.

``python -m deploy.contracts generate`` writes ``proto/gen``; ``check`` fails where it is not what
the protos say; ``lint`` and ``breaking`` run buf. The ``google/*`` and ``buf/*`` contracts that
ours import come from pinned packages: googleapis-common-protos ships its sources, protovalidate
ships its descriptor alone. So protoc compiles ours against that descriptor, and buf, which wants
sources for every import, is given protoc's result instead of the files.
"""

import argparse
import filecmp
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import descriptor_pb2

ROOT = Path(__file__).resolve().parents[2]
PROTO = ROOT / "proto"
GENERATED = PROTO / "gen"
_BUILD = ROOT / ".build" / "contracts"


def main() -> int:
    """Run the command on the command line."""
    parser = argparse.ArgumentParser(prog="python -m deploy.contracts", description=__doc__)
    parser.add_argument("command", choices=["generate", "check", "lint", "breaking"])
    parser.add_argument("--against", default=".git#ref=HEAD", help="what `breaking` compares with")
    arguments = parser.parse_args()
    if arguments.command == "generate":
        generate(GENERATED)
        return 0
    if arguments.command == "check":
        return check()
    if arguments.command == "lint":
        return lint()
    return breaking(arguments.against)


def sources(root: Path = PROTO) -> list[str]:
    """List our contracts as paths relative to the proto folder."""
    return sorted(str(p.relative_to(root)) for p in (root / "dfip").rglob("*.proto"))


def generate(target: Path) -> None:
    """Write the generated Python below ``target``, in place of whatever was there."""
    imports = _write_validate_descriptor()
    staging = target.with_name(target.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    outputs = [f"--python_out={staging}", f"--pyi_out={staging}"]
    _protoc(imports, [*outputs, "buf/validate/validate.proto"], with_sources=False)
    _protoc(imports, [*outputs, f"--grpc_python_out={staging}", *sources()])
    for path in staging.rglob("*_pb2_grpc.py"):
        if "class " not in path.read_text():
            path.unlink()  # a contract without a service
    for folder in (p for p in staging.rglob("*") if p.is_dir()):
        (folder / "__init__.py").touch()
    shutil.rmtree(target, ignore_errors=True)
    staging.rename(target)


def check() -> int:
    """Say which generated files differ from what the contracts give now."""
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / "gen"
        generate(fresh)
        old, new = _tree(GENERATED), _tree(fresh)
        stale = [n for n in sorted(old | new) if not _same(GENERATED / n, fresh / n)]
    for name in stale:
        print(f"proto/gen/{name} is stale; run `make proto`", file=sys.stderr)  # noqa: T201 a command's output
    return 1 if stale else 0


def lint() -> int:
    """Run buf's format check on the sources and its lint rules on their image."""
    formatted = _buf("format", "--diff", "--exit-code", "proto").returncode
    linted = _buf("lint", str(_image(PROTO, "current")), "--config", _image_config()).returncode
    return formatted or linted


def breaking(against: str) -> int:
    """Compare the contracts with those of another commit (``.git#ref=<commit>``)."""
    reference = against.partition("#ref=")[2]
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(  # noqa: S603 git on our own repository
            ["git", "archive", reference, "proto/dfip"],  # noqa: S607
            cwd=ROOT, capture_output=True, check=False,
        )  # fmt: skip
        if archive.returncode != 0:
            print(f"no contracts at {reference}: nothing to compare with", file=sys.stderr)  # noqa: T201
            return 0
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)  # noqa: S603, S607
        old = _image(Path(folder) / "proto", "previous")
        new = _image(PROTO, "current")
        config = _image_config()
        return _buf("breaking", str(new), "--against", str(old), "--config", config).returncode


def _image(root: Path, name: str) -> Path:
    """Compile the contracts below ``root`` and keep our own files alone, with their comments."""
    image = _BUILD / f"{name}.binpb"
    image.parent.mkdir(parents=True, exist_ok=True)
    flags = ["--include_source_info", "--include_imports", f"--descriptor_set_out={image}"]
    _protoc(_write_validate_descriptor(), [*flags, *sources(root)], root=root)
    return image


def _image_config() -> str:
    """Our rules for an image, which also holds the contracts of others."""
    rules = (ROOT / "buf.yaml").read_text()
    without_modules = rules.split("modules:")[0] + "lint:" + rules.split("lint:")[1]
    path = _BUILD / "buf.yaml"
    path.write_text(without_modules.replace("lint:\n", "lint:\n  ignore: [google, buf]\n"))
    return str(path)


def _write_validate_descriptor() -> Path:
    """Write protovalidate's own descriptor where protoc can read it, with what it imports."""
    from protovalidate._gen.buf.validate import validate_pb  # noqa: PLC0415 a private module, needed here alone

    files = descriptor_pb2.FileDescriptorSet()
    files.file.append(
        descriptor_pb2.FileDescriptorProto.FromString(validate_pb.desc().proto.to_binary())
    )
    path = _BUILD / "validate.binpb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(files.SerializeToString())
    return path


def _protoc(
    imports: Path, arguments: list[str], *, with_sources: bool = True, root: Path = PROTO
) -> None:
    well_known = _package_folder("grpc_tools") / "_proto"
    google_api = _package_folder("google.api").parents[1]
    folders = [root, google_api, well_known] if with_sources else [google_api, well_known]
    subprocess.run(  # noqa: S603 the protoc of our own environment
        [
            sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_in={imports}",
            *(f"-I{folder}" for folder in folders), *arguments,
        ],
        check=True,
    )  # fmt: skip


def _buf(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    buf = Path(sys.executable).with_name("buf")
    return subprocess.run([str(buf), *arguments], cwd=ROOT, check=False)  # noqa: S603 our own buf


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"package {name} is not installed; run `make setup`")
    return Path(next(iter(spec.submodule_search_locations)))


def _tree(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*.py*") if "__pycache__" not in p.parts}


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False)


if __name__ == "__main__":
    sys.exit(main())
