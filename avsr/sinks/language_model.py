"""Any causal language model of transformers, to be looked at by itself."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from avsr.errors import UsageError, one_line
from avsr.model_files.base_fetching import base_folder
from avsr.tokenizer import load_tokenizer


def load_language_model(name: str, *, offline: bool = False) -> tuple[Any, Any]:
    """A language model in float32 and its tokenizer.

    Args:
        name: folder, hub id, or one of :mod:`avsr.model_files.base_packages`.
        offline: use nothing but files already on this machine.

    Raises:
        UsageError: there is no such model.
        ModelUnavailableError: it is one of the base models and cannot be fetched.
    """
    folder = base_folder(name, offline=offline)
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # the command shows its own
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, local_files_only=offline
        )
        return model.eval(), load_tokenizer(folder, local_files_only=offline)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: is no language model ({one_line(error)})") from None
    finally:
        if shown:
            logging.enable_progress_bar()
