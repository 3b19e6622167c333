"""Writes every event of the experiments that a key may see into a file, each once and in order. See README.md."""

import logging
import os
import signal
import sys
import time
import urllib.error
from pathlib import Path

from assay.events.v1.messages_pb2 import EventsWritten
from confluent_kafka import Consumer, Message
from journal import Journal

from api import PAGE, AssayApi

log = logging.getLogger("events-example")
TYPE = "assay.events.v1.EventsWritten"


def wanted(name: str) -> str:
    """The value of a variable that must be there."""
    value = os.environ.get(name, "")
    if value == "":
        sys.exit(f"{name}: wanted a value, but got none (README.md tells what it is)")
    return value


def header(message: Message, name: str) -> str:
    """A header of the record as text; empty where there is none."""
    for key, value in message.headers() or []:
        if key == name and value is not None:
            return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return ""


def heard(message: Message, api: AssayApi, journal: Journal) -> None:
    """Takes what a record rang for. It is only a bell: what counts is what the API says after the last sequence in the file."""
    bell_id = header(message, "ce_id")
    value = message.value()
    # Other types may come to this topic later; a consumer passes over what it does not know.
    if header(message, "ce_type") != TYPE or value is None:
        return
    if journal.knows(bell_id):  # delivered again
        return
    experiment_id = EventsWritten.FromString(value).experiment_id
    while True:
        events = api.events_after(experiment_id, journal.last_sequence(experiment_id))
        if not events:  # not for this key's eyes, or read after an earlier bell
            return
        is_last_page = len(events) < PAGE
        journal.append(experiment_id, events, bell_id if is_last_page else None)
        if is_last_page:
            return


def until_heard(message: Message, api: AssayApi, journal: Journal, ended: list[int]) -> bool:
    """Tries again while the API is away; False when it is to end before. The client beats for its group in a thread meanwhile."""
    tries = 0
    while not ended:
        try:
            heard(message, api, journal)
            return True
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            log.warning("the API is away: %s", error)
            time.sleep(min(0.1 * 2**tries, 5.0))
            tries += 1
    return False


def main() -> None:
    """Consumes until it is asked to end."""
    prefix = os.environ.get("ASSAY_KAFKA_PREFIX", "")
    api = AssayApi(wanted("ASSAY_URL"), wanted("ASSAY_API_KEY"))
    journal = Journal(Path(os.environ.get("EVENTS_FILE", "events.jsonl")))
    consumer = Consumer(
        {
            "bootstrap.servers": wanted("ASSAY_KAFKA_BROKERS"),
            "group.id": prefix + os.environ.get("EVENTS_GROUP", "events-example-python"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
        }
    )
    ended: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _frame: ended.append(number))
    consumer.subscribe([f"{prefix}assay.events"])
    log.info("listening")
    try:
        while not ended:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is not None:
                log.warning("the broker said: %s", error)
                continue
            # After the file has the events: a record that was not worked off comes again.
            if until_heard(message, api, journal, ended):
                consumer.commit(message=message, asynchronous=False)
    finally:
        consumer.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    main()
