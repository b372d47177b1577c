"""Puts a finished build on Hugging Face: rows, card and reports; journals and configuration stay where they are."""

from __future__ import annotations

from datasets_build.pipeline.folder import BuildFolder
from inftythink_graph.errors import InftyThinkError, one_line

__all__ = ["upload"]

_FILES = [
    "data/*.parquet",
    "vanilla/*.parquet",
    "README.md",
    "report.md",
    "report.json",
    "funnel.json",
    "histograms.png",
]


def upload(folder: BuildFolder, name: str, *, private: bool) -> str:
    """Make the data set, or renew it, and return its address.

    Raises:
        InftyThinkError: it can't be uploaded; what was built is all there.
    """
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    api = HfApi()
    try:
        address = api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name,
            repo_type="dataset",
            folder_path=folder.path,
            allow_patterns=_FILES,
            delete_patterns=["data/*.parquet", "vanilla/*.parquet"],
            commit_message="InftyThink instances",
        )
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as error:
        raise InftyThinkError(
            f"{name} can't be uploaded ({one_line(error, 300)}). The build itself is finished: log in with"
            " `hf auth login`, or give another name, and run the same command again"
        ) from error
    return str(address)
