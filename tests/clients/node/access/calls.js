// Calls as any client of the protocol could make them: each with the headers that are wanted, and the answer as it came.

import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";

import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";

const PROTOCOL = fileURLToPath(new URL("../../../../crates/embedded-event-store/proto", import.meta.url));
const FILES = ["streams.proto", "persistent.proto", "gossip.proto", "serverfeatures.proto"];
const DEADLINE_MS = 20_000;
/** Headers of every answer, which say nothing of what was asked. */
const USUAL = ["date", "server", "content-length", "content-type", "grpc-status", "grpc-message"];

const definition = loader.loadSync(FILES, {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
  oneofs: true,
  bytes: Buffer,
  includeDirs: [PROTOCOL],
});
const protocol = grpc.loadPackageDefinition(definition).event_store.client;

const GROUP_SETTINGS = {
  message_timeout_ms: 30_000,
  max_retry_count: 10,
  checkpoint_after_ms: 2_000,
  min_checkpoint_count: 10,
  max_checkpoint_count: 1_000,
  live_buffer_size: 500,
  read_batch_size: 20,
  history_buffer_size: 500,
};

const named = (stream) => ({ stream_name: Buffer.from(stream) });
const deadline = () => ({ deadline: Date.now() + DEADLINE_MS });

/** A failure as it is recorded: its code, its text and its trailers. */
function failure(error) {
  const trailers = Object.entries(error.metadata?.getMap() ?? {}).filter(([key]) => !USUAL.includes(key));
  return { code: grpc.status[error.code] ?? error.code, text: error.details, trailers: Object.fromEntries(trailers) };
}

const event = (data, type) => ({
  id: { string: randomUUID() },
  metadata: { type, "content-type": "application/json" },
  custom_metadata: Buffer.alloc(0),
  data: Buffer.from(typeof data === "string" ? data : JSON.stringify(data)),
});

/** Where a subscription or a group takes its events from. */
const source = (stream) => (stream === "$all" ? { all: {} } : { stream_identifier: named(stream) });

/** Somebody who calls a store: a user, or somebody with other headers. */
export class Caller {
  #headers;
  #streams;
  #groups;
  #gossip;
  #features;

  constructor(address, headers = {}) {
    const insecure = grpc.credentials.createInsecure();
    this.#headers = headers;
    this.#streams = new protocol.streams.Streams(address, insecure);
    this.#groups = new protocol.persistent_subscriptions.PersistentSubscriptions(address, insecure);
    this.#gossip = new protocol.gossip.Gossip(address, insecure);
    this.#features = new protocol.server_features.ServerFeatures(address, insecure);
  }

  static user(address, credentials) {
    return new Caller(address, { authorization: `Basic ${Buffer.from(credentials).toString("base64")}` });
  }

  close() {
    for (const client of [this.#streams, this.#groups, this.#gossip, this.#features]) client.close();
  }

  #metadata() {
    const metadata = new grpc.Metadata();
    for (const [key, value] of Object.entries(this.#headers)) metadata.set(key, value);
    return metadata;
  }

  #unary(client, method, request) {
    return new Promise((resolve) => {
      const answer = (error, ok) => resolve(error ? { err: failure(error) } : { ok });
      client[method](request, this.#metadata(), deadline(), answer);
    });
  }

  append(stream, data = { a: 1 }, type = "T") {
    return new Promise((resolve) => {
      const answer = (error, ok) => resolve(error ? { err: failure(error) } : { ok });
      const call = this.#streams.append(this.#metadata(), deadline(), answer);
      call.on("error", () => {});
      call.write({ options: { stream_identifier: named(stream), any: {} } });
      call.write({ proposed_message: event(data, type) });
      call.end();
    });
  }

  writeMetadata(stream, metadata = {}) {
    return this.append(`$$${stream}`, metadata, "$metadata");
  }

  /** Appends one event through a batch; the item's error is told apart from the call's. */
  batch(stream) {
    return new Promise((resolve) => {
      const call = this.#streams.batchAppend(this.#metadata(), deadline());
      const done = (answer) => {
        call.cancel();
        resolve(answer);
      };
      call.on("error", (error) => done({ err: failure(error) }));
      call.on("data", ({ error }) => done(error ? { item: item(error) } : {}));
      const options = { stream_identifier: named(stream), any: {} };
      const correlation_id = { string: randomUUID() };
      call.write({ correlation_id, options, proposed_messages: [event({}, "T")], is_final: true });
    });
  }

  delete(stream) {
    return this.#unary(this.#streams, "delete", { options: { stream_identifier: named(stream), any: {} } });
  }

  tombstone(stream) {
    return this.#unary(this.#streams, "tombstone", { options: { stream_identifier: named(stream), any: {} } });
  }

  /** Reads the first event of a stream, or of the log. */
  read(stream) {
    const from = stream === "$all" ? { all: { start: {} } } : { stream: { ...source(stream), start: {} } };
    const call = this.#streams.read({ options: { ...from, ...READ, count: 1 } }, this.#metadata(), deadline());
    return new Promise((resolve) => {
      call.on("data", () => {});
      call.on("error", (error) => resolve({ err: failure(error) }));
      call.on("end", () => resolve({}));
    });
  }

  /** A subscription that is open: what it has told, and how it ended. */
  subscribe(stream, from = "start") {
    const at = { [from]: {} };
    const where = stream === "$all" ? { all: at } : { stream: { ...source(stream), ...at } };
    return new Open(this.#streams.read({ options: { ...where, ...READ, subscription: {} } }, this.#metadata()));
  }

  /** A consumer of a group that acknowledges whatever it gets. */
  consume(stream, group) {
    const call = this.#groups.read(this.#metadata());
    call.on("data", ({ content, event: delivered }) => {
      if (content === "event") call.write({ ack: { ids: [delivered.event.id] } });
    });
    const options = { ...source(stream), group_name: group, buffer_size: 10, uuid_option: { string: {} } };
    call.write({ options });
    return new Open(call);
  }

  createGroup(stream, group) {
    const from = { start: {} };
    const where = stream === "$all" ? { all: { ...from, no_filter: {} } } : { stream: { ...source(stream), ...from } };
    const settings = { ...GROUP_SETTINGS, consumer_strategy: "RoundRobin" };
    return this.#unary(this.#groups, "create", { options: { ...where, group_name: group, settings } });
  }

  updateGroup(stream, group) {
    const settings = { ...GROUP_SETTINGS, named_consumer_strategy: "RoundRobin" };
    const where = { stream: { ...source(stream), start: {} } };
    return this.#unary(this.#groups, "update", { options: { ...where, group_name: group, settings } });
  }

  deleteGroup(stream, group) {
    return this.#unary(this.#groups, "delete", { options: { ...source(stream), group_name: group } });
  }

  groupInfo(stream, group) {
    return this.#unary(this.#groups, "getInfo", { options: { ...source(stream), group_name: group } });
  }

  listGroups() {
    return this.#unary(this.#groups, "list", { options: { list_all_subscriptions: {} } });
  }

  replayParked(stream, group) {
    const options = { ...source(stream), group_name: group, no_limit: {} };
    return this.#unary(this.#groups, "replayParked", { options });
  }

  restartGroups() {
    return this.#unary(this.#groups, "restartSubsystem", {});
  }

  gossip() {
    return this.#unary(this.#gossip, "read", {});
  }

  features() {
    return this.#unary(this.#features, "getSupportedMethods", {});
  }
}

const READ = {
  read_direction: "Forwards",
  resolve_links: false,
  no_filter: {},
  uuid_option: { string: {} },
  control_option: { compatibility: 1 },
};

const item = ({ code, message, details }) => ({ code: grpc.status[code], message, details: details?.type_url });

/** A call that stays open. */
class Open {
  messages = [];
  end = null;
  #call;
  #waiting = new Set();

  constructor(call) {
    this.#call = call;
    call.on("data", (message) => this.#note(() => this.messages.push(message)));
    call.on("error", (error) => this.#note(() => (this.end ??= failure(error))));
    call.on("end", () => this.#note(() => (this.end ??= "end")));
  }

  /** Waits until it is as wanted, or has ended. */
  until(isWanted) {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!this.end && !isWanted(this)) return false;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(this);
        return true;
      };
      const late = () => reject(new Error(`a call told ${JSON.stringify(this.messages)} and nothing more`));
      const timer = setTimeout(late, DEADLINE_MS);
      if (!look()) this.#waiting.add(look);
    });
  }

  /** Waits for its first message, and ends it. */
  async first() {
    await this.until(({ messages }) => messages.length > 0);
    this.cancel();
    return this.messages.length > 0 ? {} : { err: this.end };
  }

  cancel() {
    this.#call.cancel();
  }

  #note(what) {
    what();
    for (const look of [...this.#waiting]) look();
  }
}
