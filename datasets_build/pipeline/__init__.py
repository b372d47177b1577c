"""All stages as one command, ``inftythink build-data``: resumable, with its losses counted and its files described."""

from datasets_build.pipeline.build import BuildResult, build_dataset
from datasets_build.pipeline.options import BuildOptions

__all__ = ["BuildOptions", "BuildResult", "build_dataset"]
