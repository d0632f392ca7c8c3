"""How one action plugin has another do a part of its work."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


def act(plugin: ActionBase, name: str, arguments: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
    """Run the action `name` in the place of `plugin`'s own task, with these arguments; return its result."""
    task = plugin._task.copy()
    task.args = arguments
    context = {part: getattr(plugin, f"_{part}") for part in ("connection", "play_context", "loader", "templar")}
    loaders = plugin._shared_loader_obj
    other = loaders.action_loader.get(name, task=task, shared_loader_obj=loaders, **context)
    return dict(other.run(task_vars=task_vars))
