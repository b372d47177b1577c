"""The model card (README.md) of a finished model, with the front matter that the Hugging Face hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inftythink_graph.models.base import ModelCard
from sft.arguments import DataArguments, ModelArguments
from sft.picture import PICTURE

if TYPE_CHECKING:
    from trl import SFTConfig

__all__ = ["figures_at_the_end", "hub_card", "write_hub_card"]

_FIGURES = {
    "loss": "training loss, the last one logged",
    "eval_loss": "held-out loss (mean over tokens)",
    "eval_token_accuracy": "held-out tokens predicted right",
    "eval_rows_right": "held-out rows predicted right throughout",
    "eval_generation_accuracy": "held-out problems solved by the graph, greedy",
    "eval_generation_epochs": "mean segments of these",
    "eval_generation_exhausted": "of these without a conclusion",
    "num_tokens": "tokens seen",
}
_SETTINGS = ("learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "num_train_epochs", "max_steps")
_SIZES = ("per_device_train_batch_size", "gradient_accumulation_steps", "max_length", "packing", "bf16", "seed")


def figures_at_the_end(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The last value of every figure that the card names."""
    found = {}
    for name in _FIGURES:
        values = [entry[name] for entry in history if name in entry]
        if values:
            found[name] = values[-1]
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.4g}"


def _is_hub_name(name: str) -> bool:
    return bool(name) and not Path(name).exists() and not name.startswith((".", "/")) and name.count("/") <= 1


def _base_license(model: ModelArguments) -> str:
    """The licence in the card of a base model that lies in a folder; "" where there is none."""
    readme = Path(model.model_name_or_path) / "README.md"
    if not model.model_name_or_path or not readme.is_file():
        return ""
    from huggingface_hub import ModelCard as HubCard

    try:
        return str(HubCard.load(readme, ignore_metadata_errors=True).data.to_dict().get("license") or "")
    except ValueError:
        return ""


def hub_card(
    name: str,
    data: DataArguments,
    model: ModelArguments,
    config: SFTConfig,
    card: ModelCard,
    history: Sequence[Mapping[str, Any]],
    funnel: Mapping[str, int],
    *,
    picture: bool = True,
) -> str:
    """The text of a model card.

    Args:
        name: the model's name.
        data, model, config: the recipe.
        card: what is saved as ``inftythink.json``.
        history: the run's log.
        funnel: what became of the rows.
        picture: whether the picture of the run lies beside it.
    """
    from huggingface_hub import ModelCardData

    base, dataset = model.model_name_or_path, data.dataset
    local = dataset == "synthetic" or Path(dataset).suffix in (".parquet", ".jsonl", ".json") or Path(dataset).exists()
    front = ModelCardData(
        base_model=base if _is_hub_name(base) else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        license=data.model_license or _base_license(model) or None,
        datasets=None if local else [dataset],
        tags=["inftythink" if card.method == "inftythink" else "inftythink-baseline", "reasoning", "sft", "trl"],
    ).to_yaml()
    thinking = (
        f"It thinks in segments of at most {card.eta:,} tokens, writes a summary of at most {card.summary_budget:,}"
        " after each, and goes on from question and summary alone (InftyThink, Yan et al. 2025,"
        " [arXiv 2503.06692](https://arxiv.org/abs/2503.06692))."
        if card.method == "inftythink"
        else "It thinks in one chain: the baseline that models trained for InftyThink are compared with."
    )
    origin = f"`{base}`" if base else "scratch"
    left_out = {key: number for key, number in funnel.items() if key.endswith("too long")}
    rows = [
        f"- trained from: {origin}",
        f"- data: `{dataset}`, {funnel.get('rows', 0):,} rows of {funnel.get('tokens', 0):,} tokens"
        f" ({funnel.get('completion tokens', 0):,} of them learned), fingerprint `{card.data_fingerprint}`",
        *(f"- left out: {number:,} {key}" for key, number in left_out.items()),
        f"- context window: {card.context:,} tokens",
    ]
    settings = {key: getattr(config, key) for key in (*_SETTINGS, *_SIZES)}
    told = {key: str(getattr(value, "value", value)) for key, value in settings.items()}
    figures = figures_at_the_end(history)
    on_hub = bool(config.hub_model_id)
    place, named, where = (name, "", "") if on_hub else (".", f" --name {name}", "In this folder. ")
    parts = [
        f"---\n{front.strip()}\n---",
        f"# {name}",
        thinking,
        "## Use",
        f"```\ninftythink serve {place}{named}\n"
        f'inftythink solve "..." --base-url http://127.0.0.1:8000/v1 --model {name}\n```',
        f"{where}`inftythink.json` holds all settings that the model needs; no flags. In Python:",
        "```python\nfrom inftythink_graph import EmbeddedChatModel, create_inftythink_graph\n\n"
        f'graph = create_inftythink_graph(EmbeddedChatModel(model_path="{place}"))\n'
        'print(graph.invoke({"question": "..."})["answer"])\n```',
        "## Training",
        "\n".join(rows),
        *([f"![loss, learning rate and speed]({PICTURE})"] if picture else []),
        "| at the end | |\n|---|---|\n"
        + "\n".join(f"| {_FIGURES[key]} | {_number(value)} |" for key, value in figures.items()),
        "| setting | |\n|---|---|\n" + "\n".join(f"| `{key}` | {value} |" for key, value in told.items()),
    ]
    return "\n\n".join(parts) + "\n"


def write_hub_card(
    folder: Path,
    data: DataArguments,
    model: ModelArguments,
    config: SFTConfig,
    card: ModelCard,
    history: Sequence[Mapping[str, Any]],
    funnel: Mapping[str, int],
) -> None:
    """Write the card of a finished model into its folder."""
    name = config.hub_model_id or f"{Path(str(config.output_dir)).name or 'model'}"
    picture = (folder / PICTURE).is_file()
    text = hub_card(name, data, model, config, card, history, funnel, picture=picture)
    (folder / "README.md").write_text(text)
