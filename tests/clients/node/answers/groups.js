// Persistent subscriptions: the questions that only need requests and answers.

import { sleep } from "./client.js";

export const DEFAULTS = {
  resolve_links: false,
  extra_statistics: false,
  message_timeout_ms: 30000,
  max_retry_count: 10,
  checkpoint_after_ms: 2000,
  min_checkpoint_count: 10,
  max_checkpoint_count: 1000,
  max_subscriber_count: 0,
  live_buffer_size: 500,
  read_batch_size: 20,
  history_buffer_size: 500,
  consumer_strategy: "RoundRobin",
};
const FROM_START = { start: {} };
const OLD_STRATEGIES = ["DispatchToSingle", "RoundRobin", "Pinned"];

const bytes = (name) => Buffer.from(name);
const source = (name) => (name === "$all" ? { all: {} } : { stream_identifier: { stream_name: bytes(name) } });

/** Asks about the groups of a store. */
export class Groups {
  constructor(client) {
    this.client = client;
  }

  create(name, group, settings, from) {
    return this.client.call("groups", "create", { options: this.#options(name, group, settings, from) });
  }

  update(name, group, settings, from) {
    const { all, settings: asked, ...options } = this.#options(name, group, settings, from);
    const { consumer_strategy: strategy, ...rest } = asked;
    const named = OLD_STRATEGIES.includes(strategy) ? { named_consumer_strategy: strategy } : {};
    const { no_filter, filter, ...place } = all ?? {};
    const request = { ...options, ...(all && { all: place }), settings: { ...rest, ...named } };
    return this.client.call("groups", "update", { options: request });
  }

  delete(name, group) {
    return this.client.call("groups", "delete", { options: { ...source(name), group_name: group } });
  }

  /** What a group says of itself, as it says it. */
  infoAsItIs(name, group) {
    return this.client.call("groups", "getInfo", { options: { ...source(name), group_name: group } });
  }

  /** What a group says of itself, without what is measured per second. */
  async info(name, group) {
    const { ok, err } = await this.infoAsItIs(name, group);
    return ok ? withoutRates(ok.subscription_info) : { err };
  }

  replay(name, group, stopAt) {
    const stop = stopAt === undefined ? { no_limit: {} } : { stop_at: stopAt };
    return this.client.call("groups", "replayParked", { options: { ...source(name), group_name: group, ...stop } });
  }

  list(name) {
    const of = name === "$all" ? { all: {} } : { stream: { stream_name: bytes(name ?? "") } };
    const options = name === undefined ? { list_all_subscriptions: {} } : { list_for_stream: of };
    return this.client.call("groups", "list", { options });
  }

  #options(name, group, settings = {}, from = FROM_START) {
    const asked = Object.entries({ ...DEFAULTS, ...settings }).filter(([, value]) => value !== undefined);
    const of =
      name === "$all"
        ? { all: { no_filter: {}, ...from } }
        : { stream: { stream_identifier: { stream_name: bytes(name) }, ...from } };
    return { ...of, group_name: group, settings: Object.fromEntries(asked) };
  }
}

export function withoutRates({ average_per_second, count_since_last_measurement, connections, ...info }) {
  return { connections: (connections ?? []).map(connectionWithoutRates), ...info };
}

function connectionWithoutRates(connection) {
  const { average_items_per_second, count_since_last_measurement, observed_measurements, ...rest } = connection;
  return { observed_measurements: (observed_measurements ?? []).map(({ key }) => key), ...rest };
}

export const parkedStream = (stream, group = "g") => `$persistentsubscription-${stream}::${group}-parked`;
export const checkpointStream = (stream, group = "g") => `$persistentsubscription-${stream}::${group}-checkpoint`;

/** Groups that are not there, or there already. */
export async function errors(probe) {
  const groups = new Groups(probe.client);
  const group = `g${probe.run}`;
  for (const [kind, name] of [["stream", `pe-${probe.run}`], ["all", "$all"]]) {
    probe.out(`missing.${kind}.update`, await groups.update(name, group));
    probe.out(`missing.${kind}.delete`, await groups.delete(name, group));
    probe.out(`missing.${kind}.getInfo`, await groups.infoAsItIs(name, group));
    probe.out(`missing.${kind}.replay`, await groups.replay(name, group));
    probe.out(`missing.${kind}.list`, await groups.list(name));
    const consumer = probe.client.consume(name, group);
    await consumer.until(({ end }) => end);
    probe.out(`missing.${kind}.read`, consumer.end);
    probe.out(`exists.${kind}.create1`, await groups.create(name, group));
    probe.out(`exists.${kind}.create2`, await groups.create(name, group));
    probe.out(`info.${kind}.fresh`, await groups.info(name, group));
    probe.out(`replay.${kind}.noparked`, await groups.replay(name, group));
    probe.out(`replay.${kind}.stop0`, await groups.replay(name, group, 0));
    probe.out(`replay.${kind}.negative`, await groups.replay(name, group, -1));
    probe.out(`delete.${kind}.1`, await groups.delete(name, group));
    probe.out(`delete.${kind}.2`, await groups.delete(name, group));
    probe.out(`info.${kind}.deleted`, await groups.infoAsItIs(name, group));
    probe.out(`list.${kind}.afterDelete`, await groups.list(name));
  }
}

/** What is listed, and what a group and its consumers say of themselves. */
export async function listing(probe) {
  const groups = new Groups(probe.client);
  const stream = `pz-${probe.run}`;
  await groups.create(stream, "b");
  await groups.create(stream, "a", { extra_statistics: true });
  probe.out("list.stream", (await groups.list(stream)).ok?.subscriptions.map(withoutRates));
  const all = await groups.list();
  const ofStream = all.ok?.subscriptions.filter(({ event_source }) => event_source === stream);
  probe.out("list.all.contains", ofStream?.map(({ group_name }) => group_name) ?? all);
  await probe.client.fill(stream, 25);
  const measured = probe.client.consume(stream, "a", {
    buffer: 5,
    onEvent: (message, consumer) => {
      if (consumer.events.length <= 20) setTimeout(() => consumer.ack(message.event.id.string), 10);
    },
  });
  await sleep(1500);
  probe.out("info.extra", await groups.info(stream, "a"));
  const { ok } = await groups.infoAsItIs(stream, "a");
  const figures = ok?.subscription_info.connections[0]?.observed_measurements;
  probe.out("info.extra.measurementKeys", figures?.map(({ key, value }) => [key, typeof value]));
  measured.cancel();
  const other = probe.client.consume(stream, "b", { onEvent: ({ event }, consumer) => consumer.ack(event.id.string) });
  await sleep(700);
  probe.out("info.noExtra", await groups.info(stream, "b"));
  other.cancel();
  await stored(probe, stream);
  await groups.delete(stream, "a");
  await groups.delete(stream, "b");
}

/** What is stored of the groups of a stream. */
async function stored(probe, stream) {
  const [newest] = await probe.client.shown("$persistentSubscriptionConfig", { backwards: true, count: 1 });
  const { type, ct, meta, data } = newest.event;
  const config = JSON.parse(data);
  const entry = config.entries.filter((group) => group.stream === stream);
  probe.out("config.event", { type, ct, meta, keys: Object.keys(config), entry });
  const settings = await probe.client.shown("$$$persistentSubscriptionConfig", { backwards: true, count: 1 });
  probe.out("config.meta", settings);
}

/** The subsystem is started again under a consumer. */
export async function restart(probe) {
  const { client } = probe;
  const groups = new Groups(client);
  const stream = `px-${probe.run}`;
  await client.fill(stream, 3);
  await groups.create(stream, "g");
  const consumer = client.consume(stream, "g", {
    onEvent: ({ event }, self) => event.stream_revision === "0" && self.ack(event.id.string),
  });
  await consumer.until(({ events }) => events.length === 3);
  probe.out("restart", await client.call("groups", "restartSubsystem", {}));
  await consumer.until(({ end }) => end, 2500);
  probe.out("restart.client", { end: consumer.end, ended: consumer.ended });
  await sleep(800);
  probe.out("restart.info", await groups.info(stream, "g"));
  const again = client.consume(stream, "g");
  await again.until(({ events }) => events.length >= 3, 2000);
  probe.out("restart.redelivery", again.events.map(({ event, retry_count }) => [event.stream_revision, retry_count]));
  again.cancel();
  await groups.delete(stream, "g");
}
