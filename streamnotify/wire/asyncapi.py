"""The AsyncAPI 3.0 document of the public topics: SPEC section 2 in a form that tools read.

Payloads are the JSON Schemas that lie beside it, the topics' layout is :mod:`streamnotify.wire.topic_layout`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from streamnotify import __version__
from streamnotify.wire import dead_letter
from streamnotify.wire.examples import EXAMPLES
from streamnotify.wire.topic_layout import TopicLayout, layouts

FILE = "asyncapi.json"
PARTITIONS = 8  # STREAMNOTIFY_PARTITIONS, if nothing is said

_BINDING = "0.5.0"  # of AsyncAPI's bindings of Kafka
_CLOUDEVENT = "application/cloudevents+json"
_DECLARED_CONFIG = ("retention.ms", "delete.retention.ms", "max.message.bytes")


@dataclass(frozen=True, slots=True)
class _Channel:
    """A topic as its users see it.

    Args:
        title: what one record is.
        key: what is in the record's key.
        receive, send: what we take it in for, and publish it for; empty: we do not.
        deletes: what a record without value does; empty: nothing.
    """

    title: str
    key: str
    receive: str = ""
    send: str = ""
    deletes: str = ""


_CHANNELS = {
    "task-events": _Channel(
        "Task event",
        "Any, or none; the task_id is advised, which keeps the events of a run in order.",
        receive="What happened to a task run.",
        send="The runs of monitor_task_status: each check is a run itself.",
    ),
    "monitor-configs": _Channel(
        "Monitor",
        "The monitor's name.",
        receive="Which tasks are checked when, and what is expected of them.",
        deletes="deletes the monitor",
    ),
    "users": _Channel(
        "User", "The user_id.", receive="The directory: who is who, and at what address.", deletes="removes the user"
    ),
    "user-preferences": _Channel(
        "Preferences",
        "A user_id, an address in lower case, or organization:<id>.",
        receive="What people want to be told, when, and what not.",
        send="What people turn off with the links in their mails.",
        deletes="takes back everything said under the key",
    ),
    "notification-feedback": _Channel(
        "Delivery event",
        "The notification_id or the address.",
        receive="What became of a mail after the relay took it.",
        send="What operators and mail servers' reports say.",
    ),
    "monitor-results": _Channel(
        "Check", "The task_name; of a monitor's own record its name.", send="Every check and its verdict."
    ),
    "notification-status": _Channel("Step", "The notification_id.", send="Each step of each notification."),
    "dead-letters": _Channel(
        "Dead letter",
        "That of the record.",
        send="Every record that could not be used, its bytes and headers untouched.",
    ),
}


def document() -> dict[str, Any]:
    """The document."""
    by_name = {layout.name: layout for layout in layouts("", "streamnotify", PARTITIONS, replication=1)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "streamnotify",
            "version": __version__,
            "description": "Task events in, the right e-mail to the right person at the right time out. "
            "STREAMNOTIFY_TOPIC_PREFIX stands before every address as given.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrapServers}",
                "protocol": "kafka",
                "variables": {
                    "bootstrapServers": {"default": "localhost:9092", "description": "KAFKA_BOOTSTRAP_SERVERS"}
                },
            }
        },
        "channels": {name: _channel(name, channel, by_name[name]) for name, channel in _CHANNELS.items()},
        "operations": dict(_operations()),
        "components": {
            "messages": {name: message for topic in _CHANNELS for name, message in _messages(topic).items()},
            "schemas": {
                "receivedHeaders": _received_headers(),
                "sentHeaders": _headers("Of ours.", {}),
                "deadLetterHeaders": _dead_letter_headers(),
            },
        },
    }


def _channel(name: str, channel: _Channel, layout: TopicLayout) -> dict[str, Any]:
    config = {key: int(layout.config[key]) for key in _DECLARED_CONFIG if key in layout.config}
    return {
        "address": name,
        "title": name,
        "description": channel.receive or channel.send,
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in _messages(name)},
        "bindings": {
            "kafka": {
                "topic": name,
                "partitions": layout.partitions,
                "topicConfiguration": {"cleanup.policy": [layout.config["cleanup.policy"]], **config},
                "bindingVersion": _BINDING,
            }
        },
    }


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """What streamnotify does: it receives what others send."""
    for name, channel in _CHANNELS.items():
        for action, summary in (("receive", channel.receive), ("send", channel.send)):
            if summary:
                yield (
                    f"{action}-{name}",
                    {
                        "action": action,
                        "channel": {"$ref": f"#/channels/{name}"},
                        "summary": summary,
                        "messages": [
                            {"$ref": f"#/channels/{name}/messages/{message}"}
                            for message in _messages(name)
                            if action == "receive" or message == name
                        ],
                    },
                )


def _messages(topic: str) -> dict[str, Any]:
    """The forms a record may have: as it is, and on topics that we read also in a CloudEvent or without a value."""
    channel = _CHANNELS[topic]
    messages = {topic: _message(topic, channel)}
    if channel.receive:
        messages[f"{topic}-cloudevent"] = _in_cloudevent(topic, channel)
    if channel.deletes:
        messages[f"{topic}-removal"] = {
            "name": f"{topic}-removal",
            "title": f"{channel.title}: removal",
            "summary": f"A record without value {channel.deletes}.",
            "payload": {"type": "null"},
            "bindings": _key(channel),
        }
    return messages


def _message(topic: str, channel: _Channel) -> dict[str, Any]:
    is_dead = topic == "dead-letters"
    headers = "deadLetterHeaders" if is_dead else "receivedHeaders" if channel.receive else "sentHeaders"
    any_value = {"description": "The record as it was, which may be no JSON."}
    return {
        "name": topic,
        "title": channel.title,
        "summary": channel.receive or channel.send,
        "headers": {"$ref": f"#/components/schemas/{headers}"},
        "payload": any_value if is_dead else {"$ref": f"./{topic}.json"},
        "bindings": _key(channel),
        "examples": [
            {
                "name": each.name,
                "summary": each.summary,
                **({"headers": dict(each.headers)} if each.headers else {}),
                "payload": each.value,
            }
            for each in EXAMPLES[topic]
        ],
    }


def _in_cloudevent(topic: str, channel: _Channel) -> dict[str, Any]:
    first = EXAMPLES[topic][0]
    return {
        "name": f"{topic}-cloudevent",
        "title": f"{channel.title} in a structured CloudEvent",
        "summary": "As any CloudEvents SDK writes it; the header content-type may be missing.",
        "contentType": _CLOUDEVENT,
        "payload": {
            "type": "object",
            "required": ["specversion", "data"],
            "properties": {
                "specversion": {"type": "string", "pattern": r"^1\."},
                "id": {"type": "string", "description": "Stands in for event_id, where the data has none."},
                "time": {"type": "string", "description": "Stands in for the instant, where the data has none."},
                "source": {"type": "string"},
                "type": {"type": "string"},
                "data": {"$ref": f"./{topic}.json"},
            },
        },
        "bindings": _key(channel),
        "examples": [
            {
                "name": first.name,
                "payload": {
                    "specversion": "1.0",
                    "id": "e1",
                    "source": "/gap/prod",
                    "type": f"streamnotify.{topic}",
                    "time": "2026-01-05T01:20:00Z",
                    "data": first.value,
                },
            }
        ],
    }


def _key(channel: _Channel) -> dict[str, Any]:
    return {"kafka": {"key": {"type": "string", "description": channel.key}, "bindingVersion": _BINDING}}


def _headers(description: str, said: dict[str, str]) -> dict[str, Any]:
    named = said | {"sn-id": "Of a record that we publish: the same for every repetition of it."}
    return {
        "type": "object",
        "description": description,
        "properties": {name: {"type": "string", "description": text} for name, text in named.items()},
    }


def _received_headers() -> dict[str, Any]:
    return _headers(
        "None is needed.",
        {
            "ce_specversion": "Says that the record is a binary CloudEvent, such as 1.0.",
            "ce_id": "Stands in for event_id, where the value has none.",
            "ce_time": "Stands in for the instant, where the value has none.",
            "sn-replay-of": "Of a record that was put back: the dead letter it was, <partition>-<offset>.",
        },
    )


def _dead_letter_headers() -> dict[str, Any]:
    said = {
        dead_letter.TOPIC: "Where the record lay",
        dead_letter.PARTITION: "in which partition",
        dead_letter.OFFSET: "and at which offset.",
        dead_letter.EXCEPTION: "The error's class",
        dead_letter.MESSAGE: "what it says",
        dead_letter.STACKTRACE: "and the end of its trace.",
        dead_letter.STAGE: "The station that could not use it.",
        dead_letter.ERROR_CLASS: "poison: it can never be used; exhausted: handling it failed at every try.",
        dead_letter.REASON: "What is wrong, in words.",
        dead_letter.FIELD: "The path of the field; absent if the record as a whole is wrong.",
        dead_letter.ATTEMPTS: "How often it was handled.",
        dead_letter.FAILED_AT: "When it was given up, RFC 3339.",
        dead_letter.REPLAY_COUNT: "How often it has been replayed.",
    }
    rare = {"sn-value-not-kept": "Why the record's value, or more of it, is not there."}
    always = [name for name in said if name != dead_letter.FIELD]
    return _headers("The record's own headers, and these.", said | rare) | {"required": always}
