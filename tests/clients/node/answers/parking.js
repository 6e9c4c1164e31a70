// Persistent subscriptions: what is parked and replayed, and what is noted of how far a group is.

import { givenTo, idOf, linkIdOf, record, resolved, sleep } from "./client.js";
import { Groups, checkpointStream, parkedStream } from "./groups.js";

const BY_LINK = {
  park: (message, self, count) => self.nack("Park", `p${count}`, idOf(message)),
  ack: (message, self) => self.ack(linkIdOf(message)),
  parkAgain: (message, self) => self.nack("Park", "again", message.link.id.string),
  retry: (message, self) => self.nack("Retry", "r", message.link.id.string),
  none: () => {},
};

/** A group whose consumer answers as it is told. */
class Parking {
  mode = "park";
  got = [];

  static async open(probe) {
    const parking = new Parking();
    parking.probe = probe;
    parking.groups = new Groups(probe.client);
    parking.stream = `pp-${probe.run}`;
    parking.parked = parkedStream(parking.stream);
    await probe.client.fill(parking.stream, 5);
    await parking.groups.create(parking.stream, "g", { extra_statistics: true });
    parking.consumer = probe.client.consume(parking.stream, "g", {
      onEvent: (message, self) => {
        const { event, link, retry_count } = message;
        parking.got.push([record(event)?.rev, retry_count, link ? `${record(link).stream}/${record(link).rev}` : null]);
        BY_LINK[parking.mode](message, self, parking.got.length);
      },
    });
    return parking;
  }

  /** Replays, and notes what came of it. */
  async replay(question, mode, stopAt, window = 700) {
    this.mode = mode;
    const answer = await this.groups.replay(this.stream, "g", stopAt);
    await sleep(window);
    return { [question]: answer, [`${question}.got`]: this.got.splice(0) };
  }

  async counts(...keys) {
    const info = await this.groups.info(this.stream, "g");
    const counts = {
      parked: info.parked_message_count,
      total: info.total_items,
      outstanding: info.outstanding_messages_count,
      inflight: info.total_in_flight_messages,
    };
    return Object.fromEntries(keys.map((key) => [key, counts[key]]));
  }
}

function outAll(probe, answers) {
  for (const [question, answer] of Object.entries(answers)) probe.out(question, answer);
}

/** Parks five messages and replays them in every way. */
export async function parking(probe) {
  const { client } = probe;
  const group = await Parking.open(probe);
  const { groups, stream, parked, consumer } = group;
  await consumer.until(() => group.got.length >= 5);
  await sleep(500);
  probe.out("parked.first", group.got.splice(0));
  probe.out("parked.events", await client.shown(parked));
  probe.out("parked.info", await groups.info(stream, "g"));
  outAll(probe, await group.replay("replay.stop2", "ack", 2));
  probe.out("replay.stop2.meta", await client.shown(`$$${parked}`));
  probe.out("replay.stop2.info", await group.counts("parked", "total", "outstanding", "inflight"));
  outAll(probe, await group.replay("replay.stop100", "ack", 100));
  probe.out("replay.stop100.info", await group.counts("parked", "total", "outstanding", "inflight"));
  probe.out("replay.left", await client.shown(parked));
  probe.out("replay.meta2", await client.shown(`$$${parked}`));
  outAll(probe, await group.replay("replay.again", "ack", undefined, 500));
  await parkingAgain(probe, group);
  await oneReplayed(probe, group);
  consumer.cancel();
  await sleep(200);
  probe.out("parked.delete", await groups.delete(stream, "g"));
  await sleep(300);
  const { events, not_found, err } = await client.read(parked);
  probe.out("parked.afterDelete", { n: events.length, nf: not_found, err });
  probe.out("parked.afterDelete.meta", await client.shown(`$$${parked}`));
}

/** What is replayed is parked again, or refused until it is. */
async function parkingAgain(probe, group) {
  group.mode = "park";
  await probe.client.fill(group.stream, 1);
  await group.consumer.until(() => group.got.length >= 1);
  await sleep(300);
  group.got.length = 0;
  const again = await group.replay("replay.noLimit", "parkAgain");
  probe.out("replay.noLimit", again["replay.noLimit"]);
  probe.out("replay.repark.got", again["replay.noLimit.got"]);
  probe.out("replay.repark.events", await probe.client.shown(group.parked));
  const retried = await group.replay("replay.retry", "retry", undefined, 1500);
  probe.out("replay.retry.got", retried["replay.retry.got"]);
  probe.out("replay.retry.events", await probe.client.shown(group.parked));
  probe.out("replay.retry.info", await group.counts("parked", "total", "outstanding"));
}

/** The form of a replayed message, and by which id it is answered. */
async function oneReplayed(probe, group) {
  const before = group.consumer.events.length;
  await group.replay("replay.one", "none", undefined, 600);
  const message = group.consumer.events[before];
  if (!message) return;
  const { event, link, retry_count, position } = message;
  const linkId = link ? link.id.string !== event.id.string : null;
  probe.out("replay.shape", { ...resolved(message), retry: retry_count, position, linkId });
  group.consumer.ack(event.id.string);
  await sleep(300);
  probe.out("replay.ackEventId", await group.counts("outstanding", "inflight"));
  group.consumer.ack(linkIdOf(message));
  await sleep(300);
  probe.out("replay.ackLinkId", await group.counts("outstanding", "inflight"));
}

/** Checkpoints of a group of a stream. */
export async function checkpoints(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  const stream = `pc-${probe.run}`;
  const checkpoint = checkpointStream(stream);
  await client.fill(stream, 30);
  const settings = { min_checkpoint_count: 5, max_checkpoint_count: 10, checkpoint_after_ms: 1000 };
  await groups.create(stream, "g", settings);
  const consumer = client.consume(stream, "g", {
    onEvent: (message, self) => self.events.length <= 12 && self.ack(idOf(message)),
  });
  await consumer.until(({ events }) => events.length >= 22);
  await sleep(200);
  probe.out("checkpoint.12acked", await client.shown(checkpoint));
  probe.out("checkpoint.meta", await client.shown(`$$${checkpoint}`));
  probe.out("checkpoint.info", { ...(await groups.info(stream, "g")), connections: 1 });
  for (const message of consumer.events.slice(12, 18)) consumer.ack(idOf(message));
  await sleep(2600);
  probe.out("checkpoint.18acked.after2.6s", await client.shown(checkpoint));
  for (const message of consumer.events.slice(18, 20)) consumer.ack(idOf(message));
  await sleep(2600);
  probe.out("checkpoint.20acked", await client.shown(checkpoint));
  consumer.cancel();
  await sleep(300);
  const next = client.consume(stream, "g", { onEvent: (message, self) => self.ack(idOf(message)) });
  await sleep(900);
  probe.out("redelivery.afterDisconnect", givenTo(next));
  next.cancel();
  await sleep(200);
  probe.out("checkpoint.after", (await client.shown(checkpoint)).slice(-1));
  probe.out("checkpoint.delete", await groups.delete(stream, "g"));
  await sleep(200);
  const { events, not_found, err } = await client.read(checkpoint);
  probe.out("checkpoint.afterDelete", { n: events.length, nf: not_found, err });
  await checkpointsOfAll(probe, groups, stream);
}

async function checkpointsOfAll(probe, groups, stream) {
  const { client } = probe;
  const group = `ga${probe.run}`;
  const filter = { stream_identifier: { prefix: [stream] }, max: 32, checkpointIntervalMultiplier: 1 };
  const settings = { min_checkpoint_count: 1, max_checkpoint_count: 1, checkpoint_after_ms: 500 };
  await groups.create("$all", group, settings, { start: {}, no_filter: undefined, filter });
  const consumer = client.consume("$all", group, { onEvent: (message, self) => self.ack(idOf(message)) });
  await sleep(2500);
  const [first] = consumer.events;
  probe.out("all.filter.got", {
    n: consumer.events.length,
    first: first && { rev: record(first.event).rev, position: first.position },
    conf: consumer.confirmed,
  });
  const checkpoint = checkpointStream("$all", group);
  probe.out("all.checkpoint", await client.shown(checkpoint, { backwards: true, count: 1 }));
  const info = await groups.info("$all", group);
  probe.out("all.info", { ...info, connections: info.connections?.length });
  probe.out("all.checkpointMeta", await client.shown(`$$${checkpoint}`));
  consumer.cancel();
  await groups.delete("$all", group);
}

/** Messages that nobody answers. */
export async function timeouts(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  const stream = `pt-${probe.run}`;
  await client.fill(stream, 1);
  await groups.create(stream, "g", { message_timeout_ms: 500, max_retry_count: 2 });
  const got = [];
  const consumer = client.consume(stream, "g", { onEvent: ({ retry_count }) => got.push(retry_count) });
  await sleep(6500);
  probe.out("timeout.deliveries", got);
  probe.out("timeout.parked", await client.shown(parkedStream(stream)));
  const info = await groups.info(stream, "g");
  probe.out("timeout.info", {
    outstanding: info.outstanding_messages_count,
    inflight: info.total_in_flight_messages,
    slots: info.connections[0]?.available_slots,
    parked: info.parked_message_count,
  });
  consumer.cancel();
  const none = `pt0-${probe.run}`;
  await client.fill(none, 1);
  await groups.create(none, "g", { message_timeout_ms: 0, max_retry_count: 2 });
  const gotAtOnce = [];
  const hurried = client.consume(none, "g", { onEvent: ({ retry_count }) => gotAtOnce.push(retry_count) });
  await sleep(4500);
  probe.out("timeout0.deliveries", gotAtOnce);
  hurried.cancel();
}
