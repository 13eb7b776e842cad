"""cluster.yaml is a config that Ray's cluster launcher accepts; no cloud is asked."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

CLUSTER = Path(__file__).parents[1] / "cluster.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(CLUSTER.read_text(encoding="utf-8"))
    return loaded


def start_commands(config: dict[str, Any]) -> list[str]:
    kinds = ("head_start_ray_commands", "worker_start_ray_commands")
    return [line for kind in kinds for line in config[kind] if "ray start" in line]


def test_launcher_accepts_it(config: dict[str, Any]) -> None:
    validate_config(prepare_config(config))


def test_launcher_would_refuse_an_unknown_key(config: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError, match="no_such_key"):
        validate_config(prepare_config({**config, "no_such_key": 1}))


def test_no_gpu_is_held_while_nothing_runs(config: dict[str, Any]) -> None:
    prepared = prepare_config(config)
    nodes = prepared["available_node_types"]
    gpu_nodes = [node for node in nodes.values() if node["resources"]["GPU"]]
    assert gpu_nodes
    assert all(node["min_workers"] == 0 for node in gpu_nodes)
    assert nodes[prepared["head_node_type"]]["resources"]["GPU"] == 0


def test_every_node_starts_with_token_authentication(config: dict[str, Any]) -> None:
    commands = start_commands(config)
    assert len(commands) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in commands)


def test_dashboard_listens_on_loopback_only(config: dict[str, Any]) -> None:
    (head,) = (command for command in start_commands(config) if "--head" in command)
    assert "--dashboard-host=127.0.0.1" in head
