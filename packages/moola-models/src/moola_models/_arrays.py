"""Arrays at a border: kind, rank and named dimensions, checked once per object and never copied.

The same file stands in every package that needs it (a root test compares the copies), because a shared
package would couple the versions of all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Dim:
    """Marks an integer field as the size of a named dimension."""

    name: str


@dataclass(frozen=True)
class Arr:
    """Marks a field as an array, or a mapping from names to arrays, of one dtype and shape.

    Args:
        dtype: A numpy code ("f4", "i8", "b1", "M8[ns]") or "any".
        dims: Names (bound across the fields of one object), sizes, or a last "..." for any further axes.
        optional: Whether None is allowed.
        each: Whether the value is a mapping whose values are the arrays.
    """

    dtype: str
    dims: tuple[str | int, ...]
    optional: bool = False
    each: bool = False

    def check(self, value: Any) -> Any:
        """Returns the value itself or raises ValueError with what was wanted and found."""
        if value is None and self.optional:
            return value
        if self.each:
            if not isinstance(value, Mapping):
                raise ValueError(f"want a mapping from names to arrays, got {type(value).__name__}")
            for name, array in value.items():
                self._check_one(array, f"{name!r}: ")
            return value
        self._check_one(value, "")
        return value

    def _check_one(self, array: Any, label: str) -> None:
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{label}want a numpy array, got {type(array).__name__}")
        if self.dtype != "any" and array.dtype != np.dtype(self.dtype):
            raise ValueError(f"{label}want {np.dtype(self.dtype)}, got {array.dtype}")
        open_ended = bool(self.dims) and self.dims[-1] == "..."
        dims = self.dims[:-1] if open_ended else self.dims
        rank_fits = array.ndim >= len(dims) if open_ended else array.ndim == len(dims)
        sizes_fit = all(not isinstance(d, int) or d == s for d, s in zip(dims, array.shape, strict=False))
        if not (rank_fits and sizes_fit):
            wanted = ", ".join(str(d) for d in self.dims)
            raise ValueError(f"{label}want shape ({wanted}), got {array.shape}")

    def sizes(self, value: Any) -> list[tuple[str, str, int]]:
        """Lists (label, dimension name, size) of every named dimension of the value."""
        if value is None:
            return []
        arrays = value.items() if self.each else [("", value)]
        return [
            (f"[{name!r}]" if name else "", dim, size)
            for name, array in arrays
            for dim, size in zip(self.dims, array.shape, strict=False)
            if isinstance(dim, str) and dim != "..."
        ]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        check: Callable[[Any], Any] = self.check
        return core_schema.no_info_plain_validator_function(check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        kind = "mapping of arrays" if self.each else "array"
        return {
            "x-kind": kind,
            "x-dtype": self.dtype,
            "x-shape": list(self.dims),
            "x-optional": self.optional,
        }


class Boundary(BaseModel):
    """A frozen object whose arrays are held by reference and agree in their named dimensions.

    A consumer adopts a producer's object with ``Consumer.model_validate(producer)``: fields are read as
    attributes, the arrays stay the same memory.
    """

    model_config = ConfigDict(frozen=True, from_attributes=True, extra="forbid")

    @model_validator(mode="after")
    def _named_dimensions_agree(self) -> Self:
        bound: dict[str, tuple[str, int]] = {}
        for field, info in type(self).model_fields.items():
            value = getattr(self, field)
            for mark in info.metadata:
                if isinstance(mark, Arr):
                    found = [(field + label, dim, size) for label, dim, size in mark.sizes(value)]
                elif isinstance(mark, Dim):
                    found = [(field, mark.name, int(value))]
                else:
                    continue
                for label, dim, size in found:
                    first, wanted = bound.setdefault(dim, (label, size))
                    if size != wanted:
                        raise ValueError(f"dim {dim!r} is {wanted} in {first} but {size} in {label}")
        return self
