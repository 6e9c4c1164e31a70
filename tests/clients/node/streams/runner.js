// Asks the operations of a recorded run of a store, one after the other.

import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

import * as answers from "./answers.js";
import { Names, Positions } from "./names.js";
import * as requests from "./requests.js";

const PROTOCOL = fileURLToPath(new URL("../../../../crates/embedded-event-store/proto", import.meta.url));
const FORM = { keepCase: true, longs: String, enums: String, defaults: false, oneofs: true, includeDirs: [PROTOCOL] };
const { event_store: protocol } = grpc.loadPackageDefinition(
  loader.loadSync(["streams.proto", "shared.proto", "status.proto", "serverfeatures.proto"], FORM),
);
const CHANNEL = {
  "grpc.max_receive_message_length": -1,
  "grpc.max_send_message_length": -1,
  "grpc.enable_retries": 0,
  // Runs that go on side by side have connections of their own.
  "grpc.use_local_subchannel_pool": 1,
};

/** Unanswered calls end after so long. */
const CALL_MS = 20_000;
const STREAM_MS = 60_000;
/** A batch that is not answered in full is not waited for any longer. */
const BATCH_MS = 4000;
/** Subscriptions that do not become quiet are not waited for any longer. */
const QUIET_MS = 10_000;

const after = (milliseconds) => ({ deadline: Date.now() + milliseconds });

export class Runner {
  #names;
  #positions = new Positions();
  #streams;
  #features;
  #label;

  constructor(address, prefix) {
    const credentials = grpc.credentials.createInsecure();
    this.#names = new Names(prefix);
    this.#streams = new protocol.client.streams.Streams(address, credentials, CHANNEL);
    this.#features = new protocol.client.server_features.ServerFeatures(address, credentials, CHANNEL);
  }

  /** The answers to all operations. */
  async run(operations) {
    const found = [];
    for (const [n, operation] of operations.entries()) found.push(await this.#ask(operation, `w${n}`));
    return found.map((answer) => this.#positions.named(answer));
  }

  close() {
    this.#streams.close();
    this.#features.close();
  }

  async #ask(operation, label) {
    this.#label = label;
    switch (operation.op) {
      case "append":
        return this.#append(operation);
      case "delete":
        return this.#change("Delete", operation);
      case "tombstone":
        return this.#change("Tombstone", operation);
      case "batch":
        return this.#batch(operation);
      case "read":
        return this.#read(operation);
      case "subs":
        return this.#subscriptions(operation);
      case "features":
        return this.#supported();
      default:
        await pause(operation.ms);
        return { slept: operation.ms };
    }
  }

  #headers({ leader, headers = {} }) {
    const metadata = new grpc.Metadata();
    if (leader) metadata.set("requires-leader", "true");
    for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
    return metadata;
  }

  #options({ stream, expect }) {
    return requests.expecting(expect, "revision", { stream_identifier: requests.identifier(this.#names, stream) });
  }

  #append(operation) {
    return new Promise((resolve) => {
      const call = this.#streams.Append(this.#headers(operation), after(CALL_MS), (error, answer) => {
        if (error) return resolve({ err: answers.failure(this.#names, error) });
        if (answer.result !== "success") return resolve({ wev: answers.wrongExpectation(answer[answer.result]) });
        if (operation.events?.length) this.#positions.acknowledge(answer.success.position, this.#label);
        return resolve({ ok: answers.success(answer.success) });
      });
      call.on("error", () => {});
      if (operation.emptyOptions) call.write({ options: {} });
      else if (!operation.noOptions) call.write({ options: this.#options(operation) });
      if (operation.emptyMessage) call.write({});
      for (const event of requests.proposed(this.#names, operation.events)) call.write({ proposed_message: event });
      if (operation.optionsAgain) call.write({ options: this.#options({ ...operation, expect: "any" }) });
      call.end();
    });
  }

  #change(method, operation) {
    const request = operation.noOptions ? {} : { options: this.#options(operation) };
    return new Promise((resolve) => {
      this.#streams[method](request, this.#headers(operation), after(CALL_MS), (error, answer) => {
        if (error) return resolve({ err: answers.failure(this.#names, error) });
        this.#positions.acknowledge(answer.position, this.#label);
        const { position_option: option } = answer;
        return resolve({ ok: option === "position" ? Positions.pair(answer.position) : (option ?? "unset") });
      });
    });
  }

  #read(operation) {
    const request = requests.read(this.#names, this.#positions, operation, false);
    const call = this.#streams.Read(request, this.#headers(operation), after(CALL_MS));
    const msgs = [];
    call.on("data", (answer) => {
      const told = answers.message(this.#names, answer);
      if (!told.foreign || operation.stream !== undefined) msgs.push(told);
    });
    return new Promise((resolve) => {
      call.on("end", () => setImmediate(() => resolve({ msgs })));
      call.on("error", (error) => resolve({ msgs, err: answers.failure(this.#names, error) }));
    });
  }

  async #batch(operation) {
    const batch = new Batch(this.#streams.BatchAppend(this.#headers(operation), after(STREAM_MS)), this.#names);
    const label = this.#label;
    batch.onItem = (symbol, answer) => {
      if (answer.result === "success") {
        this.#positions.acknowledge(answer.success.position, `${label}.${symbol.replace("~", "")}`);
      }
    };
    for (const part of operation.msgs) {
      if (part.wait) await pause(part.wait);
      else batch.send(requests.batchPart(this.#names, part), part);
      if (operation.step) await pause(30);
    }
    return batch.finish(operation);
  }

  /** Several subscriptions at once, then other operations, then what came of them. */
  async #subscriptions(operation) {
    const open = operation.subs.map((asked) => {
      const request = requests.read(this.#names, this.#positions, asked, true);
      const call = this.#streams.Read(request, this.#headers(operation), after(STREAM_MS));
      return new Subscription(call, this.#names, Boolean(asked.all));
    });
    await settled(open, 150);
    for (const subscription of open) subscription.mark();
    const then = [];
    const label = this.#label;
    for (const [n, inner] of (operation.then ?? []).entries()) {
      then.push(await this.#ask(inner, `${label}-${n}`));
      await pause(operation.pause ?? 60);
    }
    if (then.length > 0) await settled(open, 200);
    return { subs: open.map((subscription) => subscription.close()), then };
  }

  #supported() {
    return new Promise((resolve) => {
      this.#features.GetSupportedMethods({}, (error, answer) => {
        if (error) return resolve({ err: answers.failure(this.#names, error) });
        const features = ({ features: some = [] }) => (some.length > 0 ? ` [${some.join()}]` : "");
        const methods = (answer.methods ?? []).map((m) => `${m.service_name}/${m.method_name}${features(m)}`);
        return resolve({ version: answer.event_store_server_version, methods: methods.sort() });
      });
    });
  }
}

/** Waits until every subscription has caught up and nothing has come for a while. */
async function settled(subscriptions, quietMs) {
  const begun = Date.now();
  const isQuiet = (s) => (s.ended || s.caughtUp || Date.now() - begun > 1500) && Date.now() - s.heardAt > quietMs;
  do await pause(20);
  while (Date.now() - begun < QUIET_MS && !(Date.now() - begun > quietMs && subscriptions.every(isQuiet)));
}

class Subscription {
  heardAt = Date.now();
  caughtUp = false;
  ended = false;
  #call;
  #messages = [];
  #mark = 0;
  #error;
  #cancelled = false;

  constructor(call, names, isOfAll) {
    this.#call = call;
    call.on("data", (answer) => {
      const told = answers.message(names, answer);
      if (told.foreign && isOfAll) return;
      this.#messages.push(told);
      this.heardAt = Date.now();
      if (told.caught_up) this.caughtUp = true;
    });
    call.on("end", () => this.#end());
    call.on("error", (error) => {
      if (this.#cancelled) return;
      this.#error = answers.failure(names, error);
      this.#end();
    });
  }

  mark() {
    this.#mark = this.#messages.length;
  }

  close() {
    const endedItself = this.ended;
    this.#cancelled = true;
    if (!endedItself) this.#call.cancel();
    const answer = { before: this.#messages.slice(0, this.#mark), after: this.#messages.slice(this.#mark) };
    if (this.#error) return { ...answer, err: this.#error };
    return endedItself ? { ...answer, end: 1 } : answer;
  }

  #end() {
    this.ended = true;
    this.heardAt = Date.now();
  }
}

class Batch {
  onItem;
  #call;
  #answers = {};
  #heardAt = Date.now();
  #heard = 0;
  #expected = 0;
  #ended;

  constructor(call, names) {
    this.#call = call;
    call.on("data", (answer) => {
      this.#heard += 1;
      this.#heardAt = Date.now();
      const symbol = names.symbol(answer.correlation_id) ?? "nocorr";
      this.onItem(symbol, answer);
      (this.#answers[symbol] ??= []).push(answers.batchItem(names, answer));
    });
    call.on("end", () => (this.#ended ??= "end"));
    call.on("error", (error) => {
      if (this.#ended !== "cancelled") this.#ended = { err: answers.failure(names, error) };
    });
  }

  send(request, { final, answer }) {
    if (final || answer) this.#expected += answer ?? 1;
    this.#call.write(request);
  }

  /** Waits for the answers, ends our half of the call if the operation says so, and looks whether the store ends its own. */
  async finish({ halfClose, quiet = 25, msgs }) {
    const begun = Date.now();
    let isHalfClosed = false;
    const endHalf = () => {
      isHalfClosed = true;
      this.#heardAt = Date.now();
      this.#call.end();
    };
    if (halfClose && msgs.length === 0) endHalf();
    while (!this.#ended) {
      await pause(5);
      const silent = Date.now() - this.#heardAt;
      const isAnswered = this.#heard >= this.#expected && silent > quiet;
      if (isAnswered && halfClose && !isHalfClosed) endHalf();
      else if (isAnswered && (!halfClose || silent > 250)) break;
      else if (Date.now() - begun > BATCH_MS && silent > 300) break;
    }
    const ended = this.#ended;
    this.#ended ??= "cancelled";
    this.#call.cancel();
    const answer = { answers: this.#answers };
    if (ended?.err) return { ...answer, ended };
    return halfClose ? { ...answer, afterHalfClose: ended === "end" ? "ends" : "stays open" } : answer;
  }
}
