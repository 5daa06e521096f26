"""Recipes: the only place that composes all five packages. Importing it loads none of them.

`moola_train.recipes.expansion` is the expansion detector; the command ``moola`` stands on it. Needs
``pip install "moola-train[recipes]"``.
"""

__all__: list[str] = []
