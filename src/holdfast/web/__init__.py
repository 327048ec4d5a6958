"""The API over HTTP. `create_app(workspace)` makes it; Flask and what it needs are imported only then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdfast.web.application import create_app as create_app

__all__ = ["create_app"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'holdfast.web' has no attribute {name!r}")
    from holdfast.web import application

    return getattr(application, name)
