// Persistent subscriptions: what consumers are given, and what becomes of their answers.

import { randomUUID } from "node:crypto";

import { failure, givenTo, idOf, linkIdOf, record, sleep } from "./client.js";
import { Groups, parkedStream } from "./groups.js";

const LINK = { type: "$>", contentType: "application/octet-stream" };

/** Messages that are refused until they are parked. */
export async function retrying(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  for (const most of [10, 2, 0]) {
    const stream = `pr${most}-${probe.run}`;
    await client.fill(stream, 1);
    await groups.create(stream, "g", { max_retry_count: most });
    const counts = [];
    const consumer = client.consume(stream, "g", {
      onEvent: (message, self) => {
        counts.push(message.count === "retry_count" ? message.retry_count : message.count);
        self.nack("Retry", `again ${counts.length}`, idOf(message));
      },
    });
    await sleep(1500);
    probe.out(`retry.max${most}`, { deliveries: counts.length, counts });
    probe.out(`retry.max${most}.parked`, await client.shown(parkedStream(stream)));
    probe.out(`retry.max${most}.parkedMeta`, await client.shown(`$$${parkedStream(stream)}`));
    const info = await groups.info(stream, "g");
    probe.out(`retry.max${most}.info`, {
      parked: info.parked_message_count,
      total: info.total_items,
      inflight: info.total_in_flight_messages,
      outstanding: info.outstanding_messages_count,
      retry: info.retry_buffer_count,
    });
    consumer.cancel();
  }
}

/** Each kind of refusal of the first of three messages. */
export async function refusing(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  for (const action of ["Unknown", "Park", "Retry", "Skip", "Stop"]) {
    const stream = `pn${action}-${probe.run}`;
    await client.fill(stream, 3);
    await groups.create(stream, "g");
    const got = [];
    const consumer = client.consume(stream, "g", {
      onEvent: (message, self) => {
        got.push([record(message.event).rev, message.retry_count]);
        if (got.length === 1) self.nack(action, `because ${action}`, idOf(message));
        else self.ack(idOf(message));
      },
    });
    await sleep(1200);
    probe.out(`nack.${action}`, { got, end: consumer.end });
    probe.out(`nack.${action}.parked`, await client.shown(parkedStream(stream)));
    const info = await groups.info(stream, "g");
    probe.out(`nack.${action}.info`, {
      parked: info.parked_message_count,
      total: info.total_items,
      inflight: info.total_in_flight_messages,
      outstanding: info.outstanding_messages_count,
      known: info.last_known_event_position,
      cp: info.last_checkpointed_event_position,
      status: info.status,
      conn: info.connections?.[0],
    });
    consumer.cancel();
  }
}

/** The order in which a refused message comes again. */
export async function order(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  for (const buffer of [1, 2, 3]) {
    const stream = `po${buffer}-${probe.run}`;
    await client.fill(stream, 6);
    await groups.create(stream, "g");
    const got = [];
    const consumer = client.consume(stream, "g", {
      buffer,
      onEvent: (message, self) => {
        const isFirst = !got.includes("1");
        const { rev } = record(message.event);
        got.push(rev + (message.retry_count ? "r" : ""));
        if (rev === "1" && isFirst) self.nack("Retry", "x", idOf(message));
        else self.ack(idOf(message));
      },
    });
    await sleep(900);
    probe.out(`order.buffer${buffer}`, got);
    consumer.cancel();
  }
}

/** What a consumer may say that makes no sense. */
export async function strangeAnswers(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  const stream = `pu-${probe.run}`;
  await client.fill(stream, 2);
  await groups.create(stream, "g");
  const consumer = client.consume(stream, "g");
  await consumer.until(({ events }) => events.length >= 2);
  const [first, second] = consumer.events.map(idOf);
  consumer.ack(randomUUID());
  consumer.nack("Park", "unknown", randomUUID());
  consumer.ack();
  await sleep(200);
  consumer.ack(first);
  consumer.ack(first);
  await sleep(300);
  const info = await groups.info(stream, "g");
  probe.out("ack.unknown", {
    end: consumer.end,
    inflight: info.total_in_flight_messages,
    outstanding: info.outstanding_messages_count,
    parked: info.parked_message_count,
  });
  consumer.nack("Park", "", second);
  await sleep(400);
  probe.out("nack.park.emptyReason", await client.shown(parkedStream(stream)));
  consumer.cancel();
  await strangeOptions(probe, stream);
}

async function strangeOptions(probe, stream) {
  const { client } = probe;
  const silent = client.stubs.groups.read();
  let end;
  silent.on("error", (error) => {
    end = failure(error);
  });
  silent.on("data", () => {});
  silent.write({ ack: { ids: [] } });
  await sleep(500);
  probe.out("read.firstNotOptions", end);
  silent.cancel();
  const twice = client.consume(stream, "g");
  await twice.until(({ confirmed }) => confirmed);
  twice.options(stream, "g", 1);
  await sleep(400);
  probe.out("read.secondOptions", twice.end);
  twice.cancel();
  for (const buffer of [0, -1]) {
    const consumer = client.consume(stream, "g", { buffer });
    await consumer.until(({ end: ended, confirmed }) => ended || confirmed, 1500);
    await sleep(200);
    probe.out(`read.buffer${buffer}`, { end: consumer.end, confirmed: consumer.confirmed });
    consumer.cancel();
  }
  const half = client.consume(stream, "g");
  await half.until(({ confirmed }) => confirmed);
  probe.out("read.confirmation", half.confirmed);
  half.halfClose();
  await sleep(500);
  probe.out("read.halfClose", { end: half.end, ended: half.ended });
  half.cancel();
}

/** Consumers that are one too many, and groups that are changed under them. */
export async function coming(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  const stream = `pm-${probe.run}`;
  await client.fill(stream, 4);
  await groups.create(stream, "g", { max_subscriber_count: 1 });
  const first = client.consume(stream, "g");
  await first.until(({ events }) => events.length === 4);
  const second = client.consume(stream, "g");
  await second.until(({ end }) => end);
  probe.out("max.second", second.end);
  first.cancel();
  await sleep(300);
  const third = client.consume(stream, "g");
  await third.until(({ events }) => events.length >= 4, 2500);
  probe.out("max.afterLeave", { end: third.end, got: givenTo(third) });
  probe.out("update.connected", await groups.update(stream, "g", { max_subscriber_count: 2 }));
  await third.until(({ end }) => end, 2000);
  probe.out("update.connected.client", { end: third.end, ended: third.ended });
  const fourth = client.consume(stream, "g");
  await fourth.until(({ events }) => events.length >= 4, 2000);
  probe.out("update.after", { end: fourth.end, got: givenTo(fourth) });
  probe.out("delete.connected", await groups.delete(stream, "g"));
  await fourth.until(({ end }) => end, 2000);
  probe.out("delete.connected.client", { end: fourth.end, ended: fourth.ended });
  for (const change of ["update", "delete"]) {
    const group = `gx${change}${probe.run}`;
    await groups.create("$all", group, {}, { end: {} });
    const consumer = client.consume("$all", group);
    await consumer.until(({ confirmed }) => confirmed);
    await groups[change]("$all", group, {}, { end: {} });
    await consumer.until(({ end }) => end, 2000);
    probe.out(`all.${change}.client`, { end: consumer.end, ended: consumer.ended });
  }
}

/** A stream that is deleted, and closed for ever, under a consumer. */
export async function deleting(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  const stream = `pd-${probe.run}`;
  await client.fill(stream, 2);
  await groups.create(stream, "g");
  const consumer = client.consume(stream, "g", { onEvent: (message, self) => self.ack(idOf(message)) });
  await consumer.until(({ events }) => events.length === 2);
  probe.out("stream.softDelete", (await client.delete(stream)).err ?? "ok");
  await client.fill(stream, 1);
  await sleep(400);
  const got = consumer.events.map(({ event }) => record(event).rev);
  probe.out("stream.afterSoft", { got, end: consumer.end });
  probe.out("stream.tomb", (await client.tombstone(stream)).err ?? "ok");
  await sleep(600);
  probe.out("stream.afterTomb", {
    got: consumer.events.map(({ event }) => [record(event).rev, record(event).type]),
    end: consumer.end,
    info: (await groups.info(stream, "g")).status,
  });
  const late = client.consume(stream, "g");
  await sleep(400);
  probe.out("stream.tomb.newConsumer", { end: late.end, confirmed: late.confirmed });
  consumer.cancel();
  late.cancel();
  probe.out("create.onTombstoned", await groups.create(stream, "g2"));
  await sleep(300);
  const dropped = client.consume(stream, "g2");
  await sleep(500);
  probe.out("create.onTombstoned.consume", { end: dropped.end, confirmed: dropped.confirmed });
  dropped.cancel();
}

/** Links to the events of four streams, and three consumers. */
export async function strategies(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  for (const strategy of ["RoundRobin", "DispatchToSingle", "Pinned", "PinnedByCorrelation"]) {
    const isPinned = strategy.startsWith("Pinned");
    const stream = `pst${strategy}-${probe.run}`;
    const source = (number) => `pk${strategy}${number}-${probe.run}`;
    await groups.create(stream, "g", { consumer_strategy: strategy, resolve_links: true });
    const consumers = [];
    const sequence = [];
    for (const number of [0, 1, 2]) {
      const onEvent = (message, self) => {
        sequence.push(number);
        setTimeout(() => self.ack(linkIdOf(message)), 5);
      };
      consumers.push(client.consume(stream, "g", { buffer: 4, onEvent }));
      await consumers[number].until(({ confirmed }) => confirmed);
    }
    for (const number of [0, 1, 2, 3]) await client.fill(source(number), 3);
    for (const revision of [0, 1, 2]) {
      for (const number of [0, 1, 2, 3]) {
        const meta = { $correlationId: `corr${number}` };
        await client.append(stream, [{ ...LINK, data: `${revision}@${source(number)}`, meta }]);
      }
    }
    await sleep(900);
    const given = consumers.map(({ events }) =>
      events.map(({ event }) => `${record(event).stream.at(-8)}/${record(event).rev}`),
    );
    probe.out(`strategy.${strategy}`, {
      seq: isPinned ? undefined : sequence,
      perConsumer: isPinned ? undefined : given,
      consumersPerSourceStream: consumersOfEach(given),
      ends: consumers.map(({ end }) => end),
    });
    for (const consumer of consumers) consumer.cancel();
  }
  await overflowing(probe);
}

/** How many consumers had events of each stream. */
function consumersOfEach(given) {
  const streams = new Set(given.flat().map(([stream]) => stream));
  const having = (stream) => given.filter((events) => events.some((event) => event.startsWith(stream))).length;
  return Object.fromEntries([...streams].map((stream) => [stream, having(stream)]));
}

async function overflowing(probe) {
  const { client } = probe;
  const stream = `pds-${probe.run}`;
  await client.fill(stream, 8);
  await new Groups(client).create(stream, "g", { consumer_strategy: "DispatchToSingle" });
  const first = client.consume(stream, "g", { buffer: 3 });
  await first.until(({ confirmed }) => confirmed);
  const second = client.consume(stream, "g", { buffer: 3 });
  await sleep(700);
  const revisions = [first, second].map(({ events }) => events.map(({ event }) => record(event).rev));
  probe.out("dispatchToSingle.overflow", revisions);
  first.cancel();
  await sleep(600);
  probe.out("dispatchToSingle.afterFirstLeft", givenTo(second));
  second.cancel();
}

/** Links that lead somewhere, that lead nowhere, and that are none. */
export async function links(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  const [stream, target] = [`pl-${probe.run}`, `plt-${probe.run}`];
  await client.fill(target, 3);
  await client.append(stream, [0, 1, 2, 9].map((revision) => ({ ...LINK, data: `${revision}@${target}` })));
  const odd = [{ ...LINK, data: "nonsense" }, { ...LINK, data: `0@gone-${probe.run}` }, { data: { last: 1 } }];
  await client.append(stream, odd);
  for (const resolve of [true, false]) {
    await groups.create(stream, `g${resolve}`, { resolve_links: resolve });
    const consumer = client.consume(stream, `g${resolve}`, { buffer: 20 });
    await sleep(700);
    const given = consumer.events.map(({ event, link, position, retry_count }) => ({
      event: event && record(event),
      link: link && record(link),
      pos: position,
      retry: retry_count,
    }));
    probe.out(`links.resolve=${resolve}`, given);
    consumer.cancel();
  }
}
