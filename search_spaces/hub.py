"""Pins a Hub id to a commit, so that what a fingerprint names cannot change underneath it."""

import re
from pathlib import Path
from typing import Literal

COMMIT = re.compile(r"[0-9a-f]{40}")
Kind = Literal["model", "dataset"]


class HubError(ValueError):
    """A Hub id that cannot be reached or does not exist; the message names the remedy."""


def pin(repository: str, kind: Kind, revision: str | None) -> str:
    """The commit of a branch or tag; asks the local Hub cache first, then the Hub.

    Raises HubError when neither knows the repository.
    """
    if revision and COMMIT.fullmatch(revision):
        return revision
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        cached = huggingface_hub.try_to_load_from_cache(
            repository, "config.json", revision=revision or "main", repo_type=kind
        )
        if isinstance(cached, str):
            return Path(cached).parent.name
        info = huggingface_hub.HfApi().repo_info(
            repository, repo_type=kind, revision=revision, timeout=10
        )
    except HFValidationError as error:
        raise HubError(f"'{repository}' is neither a local path nor a Hub id") from error
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
        raise HubError(_unreachable(repository, kind, error)) from error
    except Exception as error:  # the HTTP client's own errors differ between hub versions
        if "httpx" not in type(error).__module__ and "httpcore" not in type(error).__module__:
            raise
        raise HubError(_unreachable(repository, kind, error)) from error
    if info.sha is None:
        raise HubError(f"the Hub gives no commit for '{repository}'; name one as `revision`")
    return info.sha


def _unreachable(repository: str, kind: Kind, error: Exception) -> str:
    return (
        f"'{repository}' is no local path, not in the Hub cache, and the Hub could not be asked "
        f"for the {kind} ({type(error).__name__}); go online, log in if it is gated, or give the "
        "path of a local copy"
    )
