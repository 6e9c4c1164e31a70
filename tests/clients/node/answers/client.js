// Asks an event store through the bare protocol, as no official client does: with whatever a request can hold.

import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";

import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

// The folder of the protocol's files that the official Rust client ships; scripts/test-clients finds it.
const PROTOS = process.env.PROTOS ?? "";
const definition = loader.loadSync(
  readdirSync(PROTOS).filter((file) => file.endsWith(".proto") && !["code.proto", "status.proto"].includes(file)),
  { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true, bytes: Buffer, includeDirs: [PROTOS] },
);
const packages = grpc.loadPackageDefinition(definition).event_store.client;
const SERVICES = {
  streams: packages.streams.Streams,
  groups: packages.persistent_subscriptions.PersistentSubscriptions,
  gossip: packages.gossip.Gossip,
  monitoring: packages.monitoring.Monitoring,
  features: packages.server_features.ServerFeatures,
};
// What every answer has, whatever it says.
const ORDINARY_TRAILERS = ["date", "server", "content-length", "content-type", "grpc-status", "grpc-message"];

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** An error with its code, its text and its trailers. */
export function failure(error) {
  const trailers = Object.entries(error.metadata?.getMap() ?? {}).filter(([key]) => !ORDINARY_TRAILERS.includes(key));
  return {
    code: grpc.status[error.code] ?? error.code,
    text: error.details,
    trailers: error.metadata && Object.fromEntries(trailers),
  };
}

const named = (stream) => ({ stream_identifier: { stream_name: Buffer.from(stream) } });

export class Client {
  constructor(address) {
    const credentials = grpc.credentials.createInsecure();
    this.stubs = Object.fromEntries(
      Object.entries(SERVICES).map(([name, Service]) => [name, new Service(address, credentials)]),
    );
  }

  close() {
    for (const stub of Object.values(this.stubs)) stub.close();
  }

  /** One question, one answer: `{ ok }` or `{ err }`. */
  call(service, method, request) {
    return new Promise((resolve) => {
      const answered = (error, answer) => resolve(error ? { err: failure(error) } : { ok: answer });
      this.stubs[service][method](request, { deadline: Date.now() + 12_000 }, answered);
    });
  }

  /** One question, and up to `most` answers. */
  collect(service, method, request, { timeout = 8000, most = Infinity } = {}) {
    return new Promise((resolve) => {
      const items = [];
      const call = this.stubs[service][method](request, { deadline: Date.now() + timeout });
      const finish = (err) => {
        call.cancel();
        resolve({ items, err });
      };
      call.on("data", (item) => {
        items.push(item);
        if (items.length >= most) finish();
      });
      call.on("error", (error) => finish(failure(error)));
      call.on("end", () => finish());
    });
  }

  /** Appends events `{ type, contentType, data, meta }`, whatever state the stream is in. */
  append(stream, events) {
    return new Promise((resolve) => {
      const answered = (error, answer) => resolve(error ? { err: failure(error) } : { ok: answer });
      const call = this.stubs.streams.append({ deadline: Date.now() + 10_000 }, answered);
      call.on("error", () => {});
      call.write({ options: { ...named(stream), any: {} } });
      for (const { type = "T", contentType = "application/json", data = {}, meta } of events) {
        call.write({
          proposed_message: {
            id: { string: randomUUID() },
            metadata: { type, "content-type": contentType },
            custom_metadata: Buffer.from(meta === undefined ? "" : JSON.stringify(meta)),
            data: Buffer.from(typeof data === "string" ? data : JSON.stringify(data)),
          },
        });
      }
      call.end();
    });
  }

  /** Appends so many small events. */
  fill(stream, count) {
    return this.append(stream, Array.from({ length: count }, (_, i) => ({ data: { i } })));
  }

  async read(stream, { backwards = false, count = 1000 } = {}) {
    const options = {
      stream: { ...named(stream), ...(backwards ? { end: {} } : { start: {} }) },
      read_direction: backwards ? "Backwards" : "Forwards",
      resolve_links: false,
      count,
      no_filter: {},
      uuid_option: { string: {} },
      control_option: { compatibility: 1 },
    };
    const { items, err } = await this.collect("streams", "read", { options });
    const events = items.filter((item) => item.content === "event").map((item) => item.event);
    const isMissing = items.some((item) => item.content === "stream_not_found");
    return { events, ...(isMissing && { not_found: true }), ...(err && { err }) };
  }

  /** The events of a stream, as they are compared. */
  async shown(stream, options) {
    return (await this.read(stream, options)).events.map(resolved);
  }

  delete(stream) {
    return this.call("streams", "delete", { options: { ...named(stream), any: {} } });
  }

  tombstone(stream) {
    return this.call("streams", "tombstone", { options: { ...named(stream), any: {} } });
  }

  /** A consumer of a persistent subscription. */
  consume(source, group, options) {
    return new Consumer(this, source, group, options);
  }
}

export class Consumer {
  events = [];
  end = null;
  confirmed = null;

  constructor(client, source, group, { buffer = 10, onEvent } = {}) {
    this.call = client.stubs.groups.read();
    this.call.on("data", (message) => {
      if (message.content === "subscription_confirmation") {
        this.confirmed = message.subscription_confirmation.subscription_id;
      } else {
        this.events.push(message.event);
        onEvent?.(message.event, this);
      }
    });
    this.call.on("error", (error) => {
      this.end ??= failure(error);
    });
    this.call.on("end", () => {
      this.ended = true;
    });
    this.options(source, group, buffer);
  }

  options(source, group, buffer) {
    const from = source === "$all" ? { all: {} } : named(source);
    this.call.write({ options: { ...from, group_name: group, buffer_size: buffer, uuid_option: { string: {} } } });
  }

  ack(...ids) {
    this.call.write({ ack: { ids: ids.map((string) => ({ string })) } });
  }

  nack(action, reason, ...ids) {
    this.call.write({ nack: { action, reason, ids: ids.map((string) => ({ string })) } });
  }

  cancel() {
    this.call.cancel();
  }

  halfClose() {
    this.call.end();
  }

  /** Waits until something holds, or for so long. */
  async until(holds, milliseconds = 5000) {
    const deadline = Date.now() + milliseconds;
    while (!holds(this) && Date.now() < deadline) await sleep(15);
  }
}

/** The id by which a consumer answers a message. */
export const idOf = (message) => (message.event ?? message.link).id.string;
export const linkIdOf = (message) => (message.link ?? message.event).id.string;

/** An event, as it is compared. */
export function record(event) {
  return (
    event && {
      stream: event.stream_identifier.stream_name.toString(),
      rev: event.stream_revision,
      type: event.metadata.type,
      ct: event.metadata["content-type"],
      data: event.data.toString(),
      meta: event.custom_metadata.toString(),
    }
  );
}

export const resolved = ({ event, link }) => ({ event: record(event), ...(link && { link: record(link) }) });
export const givenTo = (consumer) => consumer.events.map(({ event, retry_count }) => [record(event).rev, retry_count]);
