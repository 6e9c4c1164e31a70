"""What the official Python client must find true of the event store. Run by scripts/test-clients."""

import faulthandler
import json
import threading
import time
import unittest
import uuid

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import (
    FailedPreconditionError,
    KurrentDBClientError,
    NotFoundError,
    StreamIsDeletedError,
    WrongCurrentVersionError,
)

from server import DEADLINE_SECONDS, Server


class Scenario(unittest.TestCase):
    """A server of its own for each class of scenarios, and a client."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.addClassCleanup(cls.server.discard)
        cls.server.start()

    def setUp(self):
        # A call that hangs for good must fail too, and say where it hangs.
        faulthandler.dump_traceback_later(4 * DEADLINE_SECONDS, exit=True)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)
        self.client = self.connect()

    def connect(self):
        client = KurrentDBClient(self.server.uri)
        self.addCleanup(client.close)
        return client

    def append(self, stream, *events):
        return self.client.append_to_stream(
            stream, current_version=StreamState.ANY, events=list(events)
        )

    def take(self, subscription, count):
        """The next items of a subscription; fails when they do not come in time."""
        deadline = threading.Timer(DEADLINE_SECONDS, subscription.stop)
        deadline.start()
        taken = []
        try:
            while len(taken) < count:
                item = next(subscription, None)
                if item is None:
                    self.fail(f"only {len(taken)} of {count} items came in time: {taken}")
                taken.append(item)
        finally:
            deadline.cancel()
        return taken

    def eventually(self, expected, ask):
        """Asks until the answer is the expected one; fails when it is not in time."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        answer = ask()
        while answer != expected and time.monotonic() < deadline:
            answer = ask()
        self.assertEqual(answer, expected)


def new_stream(category="order"):
    return f"{category}-{uuid.uuid4()}"


def event(number, event_type="counted.v1"):
    return NewEvent(type=event_type, data=json.dumps({"n": number}).encode(), metadata=b'{"by":"python"}')


def numbers(events):
    return [json.loads(recorded.data)["n"] for recorded in events]


class Streams(Scenario):
    def test_what_is_appended_is_read_as_it_was(self):
        stream = new_stream()
        sent = [event(n) for n in range(3)]
        position = self.append(stream, *sent)
        read = self.client.get_stream(stream)
        self.assertEqual([recorded.id for recorded in read], [new.id for new in sent])
        self.assertEqual([recorded.stream_position for recorded in read], [0, 1, 2])
        self.assertEqual(numbers(read), [0, 1, 2])
        self.assertEqual({recorded.type for recorded in read}, {"counted.v1"})
        self.assertEqual({recorded.metadata for recorded in read}, {b'{"by":"python"}'})
        self.assertEqual({recorded.content_type for recorded in read}, {"application/json"})
        self.assertEqual(read[-1].commit_position, position)
        self.assertLess(abs(read[0].recorded_at.timestamp() - time.time()), DEADLINE_SECONDS)

    def test_bytes_that_are_not_json_come_back_untouched(self):
        stream = new_stream()
        data = bytes(range(256))
        self.append(stream, NewEvent(type="blob", data=data, content_type="application/octet-stream"))
        (read,) = self.client.get_stream(stream)
        self.assertEqual((read.data, read.content_type), (data, "application/octet-stream"))

    def test_a_stream_is_read_both_ways_from_any_point(self):
        stream = new_stream()
        self.append(stream, *(event(n) for n in range(10)))
        read = self.client.get_stream
        self.assertEqual(numbers(read(stream, stream_position=4, limit=3)), [4, 5, 6])
        self.assertEqual(numbers(read(stream, backwards=True, limit=2)), [9, 8])
        self.assertEqual(numbers(read(stream, backwards=True, stream_position=2)), [2, 1, 0])
        self.assertEqual(numbers(read(stream, stream_position=10)), [])

    def test_a_stream_that_is_not_there_is_not_found(self):
        with self.assertRaises(NotFoundError):
            self.client.get_stream(new_stream())
        self.assertIs(self.client.get_current_version(new_stream()), StreamState.NO_STREAM)

    def test_an_unmet_expectation_is_a_conflict_that_says_what_is_there(self):
        stream = new_stream()
        self.append(stream, event(0), event(1))
        for expected in (StreamState.NO_STREAM, 0, 7):
            # One event goes through Append, several through BatchAppend.
            for events in (event(2), [event(2), event(3)]):
                with self.subTest(expected=expected, events=events):
                    with self.assertRaises(WrongCurrentVersionError) as refused:
                        self.client.append_to_stream(stream, current_version=expected, events=events)
                    self.assertEqual(refused.exception.actual_version, 1)
        with self.assertRaises(WrongCurrentVersionError):
            self.client.append_to_stream(new_stream(), current_version=StreamState.EXISTS, events=event(0))
        self.assertEqual(self.client.get_current_version(stream), 1)

    def test_a_retry_with_the_same_ids_is_taken_once_and_answered_alike(self):
        for expected in (StreamState.NO_STREAM, StreamState.ANY):
            for events in (event(0), [event(0), event(1)]):
                with self.subTest(expected=expected, events=events):
                    stream = new_stream()
                    first = self.client.append_to_stream(stream, current_version=expected, events=events)
                    self.append(new_stream(), event(9))
                    again = self.client.append_to_stream(stream, current_version=expected, events=events)
                    self.assertEqual(again, first)
                    count = 1 if isinstance(events, NewEvent) else len(events)
                    self.assertEqual(len(self.client.get_stream(stream)), count)

    def test_all_is_read_both_ways_and_filtered(self):
        category = f"c{uuid.uuid4().hex}"
        before = self.client.get_commit_position()
        for n in range(6):
            self.append(f"{category}-{n}", event(n, "even.v1" if n % 2 == 0 else "odd.v1"))
            self.append(new_stream(), event(100 + n))
        read = self.client.read_all
        mine = {"filter_include": [f"{category}-.*"], "filter_by_stream_name": True}
        with read(commit_position=before, **mine) as events:
            forwards = tuple(events)
        self.assertEqual(numbers(forwards), [0, 1, 2, 3, 4, 5])
        positions = [recorded.commit_position for recorded in forwards]
        self.assertEqual(positions, sorted(set(positions)))
        self.assertGreater(positions[0], before)
        with read(backwards=True, limit=3, **mine) as events:
            self.assertEqual(numbers(events), [5, 4, 3])
        # Backwards from a position begins with the event before it, forwards with the event at it.
        with read(backwards=True, commit_position=positions[2], **mine) as events:
            self.assertEqual(numbers(events), [1, 0])
        with read(commit_position=positions[4], **mine) as events:
            self.assertEqual(numbers(events), [4, 5])
        with read(commit_position=positions[0], filter_include=["odd.v1"], limit=2) as events:
            self.assertEqual(numbers(events), [1, 3])

    def test_a_deleted_stream_is_gone_and_may_go_on(self):
        stream = new_stream()
        self.append(stream, event(0), event(1))
        with self.assertRaises(WrongCurrentVersionError):
            self.client.delete_stream(stream, current_version=0)
        self.client.delete_stream(stream, current_version=1)
        with self.assertRaises(NotFoundError):
            self.client.get_stream(stream)
        self.client.append_to_stream(stream, current_version=StreamState.NO_STREAM, events=event(2))
        read = self.client.get_stream(stream)
        self.assertEqual([(recorded.stream_position, *numbers([recorded])) for recorded in read], [(2, 2)])

    def test_a_tombstone_ends_a_stream_for_ever(self):
        stream = new_stream()
        self.append(stream, event(0))
        self.client.tombstone_stream(stream, current_version=0)
        with self.assertRaises(StreamIsDeletedError):
            self.client.get_stream(stream)
        # One event goes through Append, several through BatchAppend; the client names the same refusal differently.
        for events, refusal in ((event(1), FailedPreconditionError), ([event(1)], StreamIsDeletedError)):
            with self.assertRaises(refusal):
                self.client.append_to_stream(stream, current_version=StreamState.ANY, events=events)
        with self.assertRaises(StreamIsDeletedError):
            self.client.tombstone_stream(stream, current_version=StreamState.ANY)

    def test_metadata_is_kept_and_limits_what_is_read(self):
        stream = new_stream()
        self.assertEqual(self.client.get_stream_metadata(stream), ({}, StreamState.NO_STREAM))
        self.append(stream, *(event(n) for n in range(5)))
        metadata = {"$maxCount": 2, "owner": "python"}
        self.client.set_stream_metadata(
            stream, metadata=metadata, current_version=StreamState.NO_STREAM
        )
        self.assertEqual(self.client.get_stream_metadata(stream), (metadata, 0))
        self.assertEqual(numbers(self.client.get_stream(stream)), [3, 4])
        with self.assertRaises(WrongCurrentVersionError):
            self.client.set_stream_metadata(
                stream, metadata={}, current_version=StreamState.NO_STREAM
            )
        self.client.set_stream_metadata(stream, metadata={"$tb": 1}, current_version=0)
        self.assertEqual(numbers(self.client.get_stream(stream)), [1, 2, 3, 4])


class Subscriptions(Scenario):
    def test_a_filtered_subscription_goes_on_after_a_stop_and_after_a_crash(self):
        category = f"c{uuid.uuid4().hex}"
        mine = {"filter_include": [f"{category}-.*"], "filter_by_stream_name": True}
        position = None
        for round_number, end in enumerate((self.server.stop, self.server.kill, None)):
            first = 3 * round_number
            for n in range(first, first + 2):
                self.append(f"{category}-{n}", event(n))
                self.append(new_stream("noise"), event(-n))
            subscription = self.client.subscribe_to_all(
                commit_position=position,
                include_checkpoints=True,
                window_size=1,
                checkpoint_interval_multiplier=1,
                **mine,
            )
            seen = self.until(subscription, first + 1)
            # Live.
            self.append(f"{category}-live", event(first + 2))
            self.append(new_stream("noise"), event(-1))
            seen += self.until(subscription, first + 2)
            self.assertEqual(numbers(seen), [first, first + 1, first + 2])
            # The noise after the last event is known to be no business of ours.
            position = seen[-1].commit_position
            while position == seen[-1].commit_position:
                (checkpoint,) = self.take(subscription, 1)
                self.assertTrue(checkpoint.is_checkpoint)
                position = checkpoint.commit_position
            self.assertGreater(position, seen[-1].commit_position)
            if end is None:
                subscription.stop()
                return
            end()
            with self.assertRaises(KurrentDBClientError):
                self.take(subscription, 1)
            self.server.start()
            self.client = self.connect()

    def until(self, subscription, number):
        """The events of a subscription, without checkpoints, up to the one with that number."""
        events = []
        while not events or numbers(events[-1:]) != [number]:
            events += [item for item in self.take(subscription, 1) if not item.is_checkpoint]
        return events

    def test_a_subscription_to_a_stream_goes_from_history_into_live(self):
        stream = new_stream()
        self.append(stream, *(event(n) for n in range(5)))
        subscription = self.client.subscribe_to_stream(
            stream, stream_position=1, include_caught_up=True
        )
        items = self.take(subscription, 4)
        self.assertEqual(numbers(items[:3]), [2, 3, 4])
        self.assertTrue(items[3].is_caught_up)
        self.append(stream, event(5))
        self.assertEqual(numbers(self.take(subscription, 1)), [5])
        subscription.stop()


class PersistentSubscriptions(Scenario):
    def test_a_parked_event_comes_again_when_it_is_replayed(self):
        stream = new_stream()
        self.append(stream, *(event(n) for n in range(3)))
        self.client.create_subscription_to_stream("group", stream)
        with self.client.read_subscription_to_stream("group", stream, max_ack_delay=0.01) as subscription:
            first, second, third = self.take(subscription, 3)
            self.assertEqual(numbers([first, second, third]), [0, 1, 2])
            subscription.ack(first)
            subscription.nack(second, "park")
            subscription.nack(third, "retry")
            (retried,) = self.take(subscription, 1)
            self.assertEqual((retried.id, retried.retry_count), (third.id, 1))
            subscription.ack(retried)
            self.eventually(1, lambda: self.parked("group", stream))
            self.client.replay_parked_events("group", stream)
            (replayed,) = self.take(subscription, 1)
            self.assertEqual(replayed.id, second.id)
            self.assertEqual(numbers([replayed]), [1])
            subscription.ack(replayed)
            self.eventually(0, lambda: self.parked("group", stream))
            self.append(stream, event(3))
            (live,) = self.take(subscription, 1)
            self.assertEqual(numbers([live]), [3])
            subscription.ack(live)

    def parked(self, group, stream):
        return self.client.get_subscription_info(group, stream).parked_message_count

    def test_groups_are_listed_updated_and_deleted(self):
        stream = new_stream()
        self.append(stream, event(0))
        self.client.create_subscription_to_stream("group", stream, max_retry_count=3)
        with self.assertRaises(KurrentDBClientError):
            self.client.create_subscription_to_stream("group", stream)
        self.client.update_subscription_to_stream("group", stream, max_retry_count=7)
        (info,) = self.client.list_subscriptions_to_stream(stream)
        self.assertEqual((info.group_name, info.event_source, info.max_retry_count), ("group", stream, 7))
        self.client.delete_subscription("group", stream)
        with self.assertRaises(NotFoundError):
            self.client.get_subscription_info("group", stream)
        with self.assertRaises(NotFoundError):
            self.client.read_subscription_to_stream("group", stream)

    def test_a_group_on_all_gets_what_its_filter_lets_through(self):
        category = f"c{uuid.uuid4().hex}"
        self.client.create_subscription_to_all(
            category, filter_include=[f"{category}-.*"], filter_by_stream_name=True
        )
        with self.client.read_subscription_to_all(category) as subscription:
            for n in range(3):
                self.append(new_stream("noise"), event(-n))
                self.append(f"{category}-{n}", event(n))
            taken = self.take(subscription, 3)
            self.assertEqual(numbers(taken), [0, 1, 2])
            for recorded in taken:
                subscription.ack(recorded)


if __name__ == "__main__":
    unittest.main(verbosity=2)
