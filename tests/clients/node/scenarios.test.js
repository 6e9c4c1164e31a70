// What the official Node client must find true of the event store. Run by scripts/test-clients.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import * as kurrent from "@kurrent/kurrentdb-client";

import { Server, eventually, soon } from "./server.js";

const { ANY, BACKWARDS, END, KurrentDBClient, NO_STREAM, PARK, RETRY, START, STREAM_EXISTS } = kurrent;

let server;
let client;

before(async () => {
  server = await Server.start();
});
after(async () => {
  await server?.discard();
});
beforeEach(() => {
  client = KurrentDBClient.connectionString(server.uri);
});
afterEach(async () => {
  await client.dispose();
});

const newStream = (category = "order") => `${category}-${randomUUID()}`;
const newCategory = () => `c${randomUUID().replaceAll("-", "")}`;
const event = (n, type = "counted.v1") => kurrent.jsonEvent({ type, data: { n }, metadata: { by: "node" } });
const append = (stream, events, streamState = ANY) => client.appendToStream(stream, events, { streamState });
const number = (resolved) => resolved.event.data.n;

async function all(events) {
  const read = [];
  const whole = (async () => {
    for await (const resolved of events) read.push(resolved);
  })();
  await soon(whole, "the end of a read");
  return read;
}

/** The next events of a subscription. */
async function take(iterator, count) {
  const taken = [];
  while (taken.length < count) {
    const { value, done } = await soon(iterator.next(), `event ${taken.length + 1} of ${count}`);
    assert.ok(!done, `the subscription ended after ${taken.length} of ${count} events`);
    taken.push(value);
  }
  return taken;
}

describe("streams", () => {
  test("what is appended is read as it was", async () => {
    const stream = newStream();
    const sent = [event(0), event(1), event(2)];
    const written = await append(stream, sent, NO_STREAM);
    assert.equal(written.success, true);
    assert.equal(written.nextExpectedRevision, 2n);
    const read = await all(client.readStream(stream));
    assert.deepEqual(read.map(({ event }) => event.id), sent.map(({ id }) => id));
    assert.deepEqual(read.map(({ event }) => event.revision), [0n, 1n, 2n]);
    assert.deepEqual(read.map(number), [0, 1, 2]);
    assert.deepEqual(read[0].event.metadata, { by: "node" });
    assert.equal(read[0].event.type, "counted.v1");
    assert.equal(read[2].event.position.commit, written.position.commit);
    assert.ok(Math.abs(read[0].event.created - new Date()) < 30_000, `${read[0].event.created}`);
  });

  test("bytes that are not JSON come back untouched", async () => {
    const stream = newStream();
    const data = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    await append(stream, kurrent.binaryEvent({ type: "blob", data }));
    const [read] = await all(client.readStream(stream));
    assert.equal(read.event.isJson, false);
    assert.deepEqual(Uint8Array.from(read.event.data), data);
  });

  test("a stream is read both ways from any point", async () => {
    const stream = newStream();
    await append(stream, Array.from({ length: 10 }, (_, n) => event(n)));
    const read = async (options) => (await all(client.readStream(stream, options))).map(number);
    assert.deepEqual(await read({ fromRevision: 4n, maxCount: 3 }), [4, 5, 6]);
    assert.deepEqual(await read({ direction: BACKWARDS, fromRevision: END, maxCount: 2 }), [9, 8]);
    assert.deepEqual(await read({ direction: BACKWARDS, fromRevision: 2n }), [2, 1, 0]);
  });

  test("a stream that is not there is not found", async () => {
    await assert.rejects(all(client.readStream(newStream())), kurrent.StreamNotFoundError);
  });

  test("an unmet expectation is a conflict that says what is there", async () => {
    const stream = newStream();
    await append(stream, [event(0), event(1)]);
    for (const streamState of [NO_STREAM, 0n, 7n]) {
      await assert.rejects(append(stream, event(2), streamState), (error) => {
        assert.ok(error instanceof kurrent.WrongExpectedVersionError, error);
        assert.equal(error.actualState ?? error.actualVersion, 1n);
        return true;
      });
    }
    await assert.rejects(append(newStream(), event(0), STREAM_EXISTS), kurrent.WrongExpectedVersionError);
    assert.equal((await all(client.readStream(stream))).length, 2);
  });

  test("a retry with the same ids is taken once and answered alike", async () => {
    for (const streamState of [NO_STREAM, ANY]) {
      const stream = newStream();
      const events = [event(0), event(1)];
      const first = await append(stream, events, streamState);
      await append(newStream(), event(9));
      const again = await append(stream, events, streamState);
      assert.deepEqual(again, first);
      assert.equal((await all(client.readStream(stream))).length, 2);
    }
  });

  test("$all is read both ways and filtered", async () => {
    const category = newCategory();
    for (let n = 0; n < 6; n++) {
      await append(`${category}-${n}`, event(n, `${category}.${n % 2 === 0 ? "even" : "odd"}`));
      await append(newStream(), event(100 + n));
    }
    const byName = { filter: kurrent.streamNameFilter({ prefixes: [`${category}-`] }) };
    const read = (options) => all(client.readAll({ ...byName, ...options }));
    const forwards = await read({ fromPosition: START });
    assert.deepEqual(forwards.map(number), [0, 1, 2, 3, 4, 5]);
    const at = (n) => forwards[n].event.position;
    assert.deepEqual((await read({ direction: BACKWARDS, fromPosition: END, maxCount: 3 })).map(number), [5, 4, 3]);
    // Backwards from a position begins with the event before it, forwards with the event at it.
    assert.deepEqual((await read({ direction: BACKWARDS, fromPosition: at(2) })).map(number), [1, 0]);
    assert.deepEqual((await read({ fromPosition: at(4) })).map(number), [4, 5]);
    const byType = { filter: kurrent.eventTypeFilter({ regex: `^${category}\\.odd$` }) };
    assert.deepEqual((await read(byType)).map(number), [1, 3, 5]);
  });

  test("a deleted stream is gone and may go on", async () => {
    const stream = newStream();
    await append(stream, [event(0), event(1)]);
    await assert.rejects(client.deleteStream(stream, { expectedRevision: 0n }), kurrent.WrongExpectedVersionError);
    await client.deleteStream(stream, { expectedRevision: 1n });
    await assert.rejects(all(client.readStream(stream)), kurrent.StreamNotFoundError);
    await append(stream, event(2), NO_STREAM);
    const read = await all(client.readStream(stream));
    assert.deepEqual(read.map((resolved) => [resolved.event.revision, number(resolved)]), [[2n, 2]]);
  });

  test("a tombstone ends a stream for ever", async () => {
    const stream = newStream();
    await append(stream, event(0));
    await client.tombstoneStream(stream, { expectedRevision: 0n });
    await assert.rejects(all(client.readStream(stream)), kurrent.StreamDeletedError);
    await assert.rejects(append(stream, event(1)), kurrent.StreamDeletedError);
  });

  test("metadata is kept and limits what is read", async () => {
    const stream = newStream();
    await append(stream, Array.from({ length: 5 }, (_, n) => event(n)));
    await client.setStreamMetadata(stream, { maxCount: 2, owner: "node" }, { streamState: NO_STREAM });
    const { metadata } = await client.getStreamMetadata(stream);
    assert.equal(metadata.maxCount, 2);
    assert.equal(metadata.owner, "node");
    assert.deepEqual((await all(client.readStream(stream))).map(number), [3, 4]);
    await assert.rejects(
      client.setStreamMetadata(stream, {}, { streamState: NO_STREAM }),
      kurrent.WrongExpectedVersionError,
    );
    await client.setStreamMetadata(stream, { truncateBefore: 1 }, { streamState: 0n });
    assert.deepEqual((await all(client.readStream(stream))).map(number), [1, 2, 3, 4]);
  });
});

describe("subscriptions", () => {
  test("a filtered subscription goes on after a stop and after a crash of the server", async () => {
    const category = newCategory();
    let fromPosition = START;
    for (const [round, end] of ["stop", "kill", undefined].entries()) {
      const first = 3 * round;
      for (const n of [first, first + 1]) {
        await append(`${category}-${n}`, event(n));
        await append(newStream("noise"), event(-n));
      }
      const checkpoints = [];
      let tell = () => {};
      const filter = kurrent.streamNameFilter({
        prefixes: [`${category}-`],
        checkpointInterval: 1,
        maxSearchWindow: 1,
        checkpointReached: (_, position) => {
          checkpoints.push(position.commit);
          tell();
        },
      });
      const subscription = client.subscribeToAll({ fromPosition, filter });
      const events = subscription[Symbol.asyncIterator]();
      const seen = await take(events, 2);
      await append(`${category}-live`, event(first + 2));
      seen.push(...(await take(events, 1)));
      assert.deepEqual(seen.map(number), [first, first + 1, first + 2]);
      const last = seen[2].event.position;
      // What comes after our last event is known to be no business of ours.
      const noise = await append(newStream("noise"), event(-1));
      const beyond = new Promise((resolve) => {
        tell = () => checkpoints.at(-1) >= noise.position.commit && resolve();
        tell();
      });
      const ending = events.next();
      await soon(Promise.race([beyond, ending]), "the checkpoint beyond the last event");
      assert.ok(checkpoints.at(-1) > last.commit, `${checkpoints} and ${last.commit}`);
      fromPosition = last;
      if (end === undefined) {
        await subscription.unsubscribe();
        return;
      }
      await server[end]();
      await assert.rejects(soon(ending, "the end of the subscription"));
      await server.start();
      await client.dispose();
      client = KurrentDBClient.connectionString(server.uri);
    }
  });

  test("a subscription to a stream goes from history into live", async () => {
    const stream = newStream();
    await append(stream, Array.from({ length: 5 }, (_, n) => event(n)));
    const subscription = client.subscribeToStream(stream, { fromRevision: 1n });
    const caughtUp = new Promise((resolve) => subscription.once("caughtUp", resolve));
    const events = subscription[Symbol.asyncIterator]();
    assert.deepEqual((await take(events, 3)).map(number), [2, 3, 4]);
    const next = take(events, 1);
    await soon(caughtUp, "caught up");
    await append(stream, event(5));
    assert.deepEqual((await next).map(number), [5]);
    await subscription.unsubscribe();
  });
});

describe("persistent subscriptions", () => {
  const fromStart = (settings) =>
    kurrent.persistentSubscriptionToStreamSettingsFromDefaults({ startFrom: START, ...settings });

  test("a parked event comes again when it is replayed", async () => {
    const stream = newStream();
    await append(stream, [event(0), event(1), event(2)]);
    await client.createPersistentSubscriptionToStream(stream, "group", fromStart());
    const subscription = client.subscribeToPersistentSubscriptionToStream(stream, "group");
    const events = subscription[Symbol.asyncIterator]();
    const parked = async () =>
      (await client.getPersistentSubscriptionToStreamInfo(stream, "group")).stats.parkedMessageCount;
    const [first, second, third] = await take(events, 3);
    assert.deepEqual([first, second, third].map(number), [0, 1, 2]);
    await subscription.ack(first);
    await subscription.nack(PARK, "cannot be handled now", second);
    await subscription.nack(RETRY, "once more", third);
    const [retried] = await take(events, 1);
    assert.deepEqual([retried.event.id, retried.retryCount], [third.event.id, 1]);
    await subscription.ack(retried);
    await eventually(1n, parked);
    await client.replayParkedMessagesToStream(stream, "group");
    const [replayed] = await take(events, 1);
    assert.equal(replayed.event.id, second.event.id);
    await subscription.ack(replayed);
    await eventually(0n, parked);
    await append(stream, event(3));
    const [live] = await take(events, 1);
    assert.equal(number(live), 3);
    await subscription.ack(live);
    await subscription.unsubscribe();
  });

  test("groups are listed, updated and deleted", async () => {
    const stream = newStream();
    await append(stream, event(0));
    const settings = fromStart({ maxRetryCount: 3 });
    await client.createPersistentSubscriptionToStream(stream, "group", settings);
    await assert.rejects(
      client.createPersistentSubscriptionToStream(stream, "group", settings),
      kurrent.PersistentSubscriptionExistsError,
    );
    await client.updatePersistentSubscriptionToStream(stream, "group", fromStart({ maxRetryCount: 7 }));
    const [info, ...others] = await client.listPersistentSubscriptionsToStream(stream);
    assert.deepEqual(others, []);
    assert.deepEqual([info.groupName, info.eventSource, info.settings.maxRetryCount], ["group", stream, 7]);
    await client.deletePersistentSubscriptionToStream(stream, "group");
    await assert.rejects(
      client.deletePersistentSubscriptionToStream(stream, "group"),
      kurrent.PersistentSubscriptionDoesNotExistError,
    );
  });
});
