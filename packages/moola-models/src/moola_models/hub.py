"""Networks on the Hugging Face Hub. Needs the extra ``moola-models[hub]``.

What lies on the Hub is the folder that `store.save_model` writes, checksums included, beside the Hub's own
README.md; so `store.load_model` reads a downloaded copy without this module.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Never, Self

import torch
from huggingface_hub import PyTorchModelHubMixin, snapshot_download

from moola_models.jade import Jade
from moola_models.store import BALANCER, FILES, SUMS, load_model, save_model


class HubJade(
    Jade,
    PyTorchModelHubMixin,
    library_name="moola-models",
    tags=["time-series", "sequence-labelling"],
):
    """`Jade` with ``save_pretrained``, ``from_pretrained`` and ``push_to_hub``.

    ``HubJade.from_pretrained(name_or_folder)`` gives the network in evaluation mode; ``map_location`` says on
    which device. Settings of the network cannot be changed there: they lie in the folder.
    """

    def _save_pretrained(self, save_directory: Path) -> None:
        """Writes the folder's files; the sums come last, so a half-written folder is refused."""
        with tempfile.TemporaryDirectory(dir=save_directory) as room:
            written = save_model(self, Path(room) / "model")
            for name in (BALANCER, SUMS):
                (save_directory / name).unlink(missing_ok=True)
            for name in (*FILES, SUMS):
                (written / name).replace(save_directory / name)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        map_location: str | torch.device = "cpu",
        **settings: Never,
    ) -> Self:
        """Reads a network from a folder or the Hub; the checksums are compared before anything is parsed.

        The mixin's own method would parse the configuration first.

        Args:
            pretrained_model_name_or_path: A folder, or the Hub's "owner/name".
            force_download: As the Hub's client takes it, and so the next four.
            token: Of the Hub.
            cache_dir: Where downloads lie.
            local_files_only: Never ask the Hub.
            revision: Branch, tag or commit.
            map_location: Device of the parameters.
            settings: None: the mixin's method takes any, this one refuses them.

        Raises:
            TypeError: If settings of the network are given.
            FileNotFoundError: If a file is missing.
            ValueError: If a file is not what was written, or was written by a later schema.
        """
        if settings:
            raise TypeError(f"settings: want none, for they lie in the folder, got {sorted(settings)}")
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            downloaded = snapshot_download(
                str(pretrained_model_name_or_path),
                revision=revision,
                cache_dir=cache_dir,
                force_download=force_download,
                local_files_only=local_files_only,
                token=token,
                allow_patterns=[*FILES, BALANCER, SUMS],
            )
            folder = Path(downloaded)
        found = load_model(folder, device=map_location)
        model = cls(found.config)
        model.load_state_dict(found.state_dict(), strict=True, assign=True)
        return model.eval()
