"""The border models of the five packages, and the files their JSON schemas are frozen in.

``python tests/contracts/borders.py`` rewrites the files: a change of a border is then a visible diff, and it
raises the minor version of the package.
"""

import importlib
import json
from pathlib import Path

from pydantic import BaseModel

FOLDER = Path(__file__).parent / "schemas"
PACKAGES = ("moola_data", "moola_models", "moola_losses", "moola_train", "moola_eval")


def border_models() -> dict[str, type[BaseModel]]:
    """Every pydantic model that a ``schema.py`` defines, by "package.Model"."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(f"{package}.schema")
        for name, value in vars(module).items():
            is_model = isinstance(value, type) and issubclass(value, BaseModel)
            if is_model and value.__module__ == module.__name__ and not name.startswith("_"):
                found[f"{package}.{name}"] = value
    return found


def schema_text(model: type[BaseModel]) -> str:
    """The JSON schema as it is frozen: docstrings left out, keys sorted."""

    def without_prose(node: object) -> object:
        if isinstance(node, dict):
            return {k: without_prose(v) for k, v in node.items() if k != "description" or isinstance(v, dict)}
        return [without_prose(v) for v in node] if isinstance(node, list) else node

    return json.dumps(without_prose(model.model_json_schema()), indent=1, sort_keys=True) + "\n"


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    models = border_models()
    for path in FOLDER.glob("*.json"):
        if path.stem not in models:
            path.unlink()
    for name, model in models.items():
        (FOLDER / f"{name}.json").write_text(schema_text(model))


if __name__ == "__main__":
    main()
