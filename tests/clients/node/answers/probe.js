// What is asked, and what came of it: names of questions with their answers, in the form of the recorded ones.

import { randomBytes } from "node:crypto";

import { Client } from "./client.js";

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?/g;
const PLACE = /(?<=[CP]:)\d+/g;

export class Probe {
  /** In the names of streams and groups; the recorded answers have RUN in its place. */
  run = randomBytes(3).toString("hex");
  answers = new Map();

  constructor(address, recordedPort) {
    this.address = address;
    this.port = Number(address.split(":").at(-1));
    this.recordedPort = recordedPort;
    this.client = new Client(address);
  }

  close() {
    this.client.close();
  }

  /** Notes the answer to a question. */
  out(question, answer) {
    const form = this.#comparable(answer);
    this.answers.set(question, form === undefined ? undefined : JSON.parse(JSON.stringify(form)));
  }

  /** What differs each time is replaced by a word for it. */
  #comparable(value) {
    if (Buffer.isBuffer(value)) return this.#comparable(value.toString());
    if (Array.isArray(value)) return value.map((item) => this.#comparable(item));
    if (value === this.port) return this.recordedPort;
    if (typeof value === "string") {
      return value
        .replaceAll(this.run, "RUN")
        .replaceAll(this.address, "<host>")
        .replace(UUID, "<uuid>")
        .replace(TIME, "<time>")
        .replace(PLACE, (place) => (place === "0" ? "0" : "<pos>"));
    }
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.#comparable(item)]));
    }
    return value;
  }
}

/** Where two answers differ: the path to each difference, with both sides. */
export function differences(recorded, ours, path = "") {
  const areAlike =
    recorded && ours && typeof recorded === "object" && typeof ours === "object" && Array.isArray(recorded) === Array.isArray(ours);
  if (areAlike && (!Array.isArray(recorded) || recorded.length === ours.length)) {
    const keys = new Set([...Object.keys(recorded), ...Object.keys(ours)]);
    return [...keys].flatMap((key) => differences(recorded[key], ours[key], path ? `${path}.${key}` : key));
  }
  return JSON.stringify(recorded) === JSON.stringify(ours) ? [] : [{ path, recorded, ours }];
}
