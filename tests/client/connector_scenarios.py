"""Runs the shared scenarios of `tests/vectors/client/scenarios.json` on the Python connector."""

from __future__ import annotations

import math
from typing import Any

from tidegate.wire.decode import Event
from tidegate_client.actions import (
    Abort,
    Action,
    Deliver,
    Moment,
    Open,
    TellLost,
    TellOpened,
    TellStopped,
)
from tidegate_client.connector import Connector
from tidegate_client.decisions import Settings


def make(settings: dict[str, Any]) -> Connector:
    """A connector with these settings; ``null`` stands for infinity."""
    values: dict[str, Any] = {
        key: math.inf if value is None else value for key, value in settings.items()
    }
    last_event_id = values.pop("last_event_id", "")
    return Connector(Settings(**values), last_event_id)


def run_step(connector: Connector, step: dict[str, Any]) -> dict[str, Any]:
    """Carry out one step; returns what the vectors call ``do``, ``state``, ``due`` and ``id``."""
    actions = [_described(action) for action in _call(connector, step)]
    due = connector.deadline_ms()
    return {
        "do": actions,
        "state": connector.ready_state,
        "due": None if due == math.inf else due,
        "id_after": connector.last_event_id,
    }


def _call(connector: Connector, step: dict[str, Any]) -> list[Action]:
    at = Moment(step["at"], step.get("random", 0.5))
    match step["call"]:
        case "connect":
            return connector.connect(at)
        case "close":
            return connector.close()
        case "tick":
            return connector.tick(at)
        case "wake":
            return connector.wake(at)
        case "online":
            connector.online = step["online"]
            return []
        case _:
            return _call_for_connection(connector, step, at)


def _call_for_connection(connector: Connector, step: dict[str, Any], at: Moment) -> list[Action]:
    conn = step["conn"]
    match step["call"]:
        case "responded":
            wait_ms = step.get("retry_after_ms", 0)
            return connector.responded(conn, step["status"], step["content_type"], wait_ms, at)
        case "event":
            return connector.event(conn, Event(**step["event"]), at)
        case "ended":
            return connector.ended(conn, step["how"], at)
        case "retry":
            connector.retry(conn, step["retry_ms"])
        case "position":
            connector.position(conn, step["id"])
        case "activity":
            connector.activity(conn, step["at"])
        case _:
            raise AssertionError(f"unknown step {step}")
    return []


def _described(action: Action) -> str:
    """One line per action, the same in both languages."""
    match action:
        case Open(conn, last_event_id, renew, handover):
            renewing = f" renew {renew}" if renew else ""
            saying = " handover" if handover else ""
            return f"open {conn} after '{last_event_id}'{renewing}{saying}"
        case Abort(conn):
            return f"abort {conn}"
        case TellOpened():
            return "opened"
        case Deliver(event, control):
            return f"{'control' if control else 'deliver'} {event.type} '{event.id}'"
        case TellLost(reason, delay_ms, attempt, status):
            return f"lost {reason} delay {round(delay_ms)} attempt {attempt} status {status}"
        case TellStopped(reason, attempt, status):
            return f"stopped {reason} attempt {attempt} status {status}"
