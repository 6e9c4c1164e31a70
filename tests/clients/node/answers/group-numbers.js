// Persistent subscriptions: odd numbers in settings, and what the end of a replay means.

import { idOf, linkIdOf, record, sleep } from "./client.js";
import { Groups, checkpointStream, parkedStream } from "./groups.js";

const SETTINGS = { checkpoint_after_ms: 1000, min_checkpoint_count: 1 };

async function withGroup(probe, stream, settings) {
  await probe.client.fill(stream, 3);
  return new Groups(probe.client).create(stream, "g", { ...SETTINGS, ...settings });
}

/** Numbers that are none, or that mean something of their own. */
export async function oddNumbers(probe) {
  const { client, run } = probe;
  const groups = new Groups(client);
  await withGroup(probe, `v1${run}`);
  const twice = client.consume(`v1${run}`, "g");
  await twice.until(({ events }) => events.length === 3);
  twice.options(`v1${run}`, "g", 1);
  await sleep(300);
  twice.ack(...twice.events.map(idOf));
  await sleep(500);
  const info = await groups.info(`v1${run}`, "g");
  probe.out("ack after second options: outstanding", [info.outstanding_messages_count, twice.end]);
  twice.cancel();

  await withGroup(probe, `v2${run}`, { max_subscriber_count: -1 });
  const nobody = client.consume(`v2${run}`, "g");
  await sleep(500);
  probe.out("max_subscriber_count -1", [nobody.confirmed !== null, nobody.end]);
  nobody.cancel();

  await withGroup(probe, `v3${run}`, { max_retry_count: -1 });
  const refusing = client.consume(`v3${run}`, "g", {
    onEvent: (message, self) => self.nack("Retry", "x", idOf(message)),
  });
  await sleep(700);
  const parked = await client.shown(parkedStream(`v3${run}`));
  const reasons = parked.map(({ event }) => event.meta.replace(/\n */g, ""));
  probe.out("max_retry_count -1", [refusing.events.length, reasons]);
  refusing.cancel();

  await withGroup(probe, `v5${run}`);
  const noRoom = client.consume(`v5${run}`, "g", { buffer: 0 });
  await sleep(800);
  probe.out("buffer 0", [noRoom.confirmed, noRoom.events.length]);
  noRoom.cancel();

  await withGroup(probe, `v6${run}`, { checkpoint_after_ms: 0, max_checkpoint_count: 10 });
  const done = client.consume(`v6${run}`, "g", { onEvent: (message, self) => self.ack(idOf(message)) });
  await sleep(2500);
  const noted = await client.shown(checkpointStream(`v6${run}`));
  probe.out("checkpoint_after 0: checkpoint", noted.map(({ event }) => event.data));
  done.cancel();
}

/** Six parked messages, replayed up to a number. */
async function replaysUpTo(probe, isAnswered) {
  const { client } = probe;
  const groups = new Groups(client);
  const stream = `w${isAnswered}${probe.run}`;
  const parked = parkedStream(stream);
  await client.fill(stream, 6);
  await groups.create(stream, "g", SETTINGS);
  const got = [];
  let isParking = true;
  const consumer = client.consume(stream, "g", {
    buffer: 20,
    onEvent: (message, self) => {
      got.push(message.link ? Number(record(message.link).rev) : -1);
      if (isParking) self.nack("Park", "x", idOf(message));
      else if (isAnswered) self.ack(linkIdOf(message));
    },
  });
  await consumer.until(() => got.length === 6);
  await sleep(700);
  isParking = false;
  got.length = 0;
  for (const [question, stopAt] of [["stop 1", 1], ["stop 3", 3], ["stop 3 again", 3], ["stop 4", 4], ["all", undefined]]) {
    await groups.replay(stream, "g", stopAt);
    await sleep(1800);
    const info = await groups.info(stream, "g");
    const metadata = await client.shown(`$$${parked}`);
    probe.out(`ack=${isAnswered} ${question}`, {
      got: got.splice(0),
      left: (await client.shown(parked)).map(({ event }) => Number(event.rev)),
      meta: metadata.map(({ event }) => event.data.match(/"\$tb":\d+/)?.[0]),
      parked: info.parked_message_count,
      outstanding: info.outstanding_messages_count,
    });
  }
  consumer.cancel();
}

export const answeredReplays = (probe) => replaysUpTo(probe, true);
export const unansweredReplays = (probe) => replaysUpTo(probe, false);
