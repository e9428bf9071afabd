"""The compiled wheel: the modules that every line passes, compiled by mypyc from the same source.

Without ``HATCH_BUILD_HOOK_ENABLE_CUSTOM=true`` the wheel is the pure one.  Everything is made in a
temporary directory: nothing compiled lies in the source tree, where an import would find it.
"""

import sys
from contextlib import chdir, redirect_stdout
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Holds the code of all modules; the others only lead to it.
_LIBRARY: Final = "mailingest.compiled"


class CompiledWheel(BuildHookInterface[BuilderConfig]):
    """Compiles the ``modules`` that pyproject.toml names, and puts them beside their source.

    An import takes the compiled module before the other.  The source stays for whoever reads it,
    and for other versions of Python that would not load what was compiled for this one.
    """

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together; a mistake ends the build."""
        self._scratch = TemporaryDirectory()
        built = Path(self._scratch.name, "built")
        # What is found by mypy, and what a traceback says, begins at the root.
        with chdir(self.root), redirect_stdout(sys.stderr):
            _compile(self.config["modules"], built, Path(self._scratch.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in sorted(built.rglob("*.so")):
            build_data["force_include"][str(path)] = relpath(path, built)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """The wheel is written."""
        self._scratch.cleanup()


def _compile(modules: list[str], built: Path, scratch: Path) -> None:
    # Only who builds this wheel needs these.
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    extensions = mypycify(
        [
            # The project's own settings need plugins for what is not compiled.
            "--config-file=",
            "--namespace-packages",
            "--explicit-package-bases",
            "--ignore-missing-imports",
            f"--cache-dir={scratch / 'cache'}",
            *modules,
        ],
        opt_level="2",
        debug_level="0",
        target_dir=str(scratch),
        group_name=_LIBRARY,
    )
    command = build_ext(Distribution({"ext_modules": extensions, "packages": []}))
    command.build_lib = str(built)
    command.build_temp = str(scratch)
    command.ensure_finalized()
    command.run()
