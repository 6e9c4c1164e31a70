// The answers of a store, in the form in which the runs were recorded.

import grpc from "@grpc/grpc-js";

import { Positions } from "./names.js";

const DAY_MS = 864e5;
const TRANSPORT = new Set(["date", "server", "content-type", "content-length", "grpc-accept-encoding", "vary"]);
const RPC_CODES = Object.fromEntries(Object.entries(grpc.status).map(([name, code]) => [code, name]));

export function failure(names, error) {
  const trailers = {};
  const sent = error.metadata?.getMap() ?? {};
  for (const key of Object.keys(sent).sort()) {
    if (!TRANSPORT.has(key)) trailers[key] = names.symbolic(String(sent[key]));
  }
  const answer = {
    code: grpc.status[error.code] ?? error.code,
    text: names.message(String(error.details ?? error.message)),
  };
  return Object.keys(trailers).length > 0 ? { ...answer, t: trailers } : answer;
}

/** Which field of a choice is set, with its value if it is a number. */
function chosen(message, choice) {
  const field = message[choice];
  if (!field) return "unset";
  return typeof message[field] === "object" ? field : `${field}=${message[field]}`;
}

export function success({ current_revision_option: revision, position_option: position, ...rest }) {
  return {
    rev: revision === "current_revision" ? rest.current_revision : (revision ?? "unset"),
    pos: position === "position" ? Positions.pair(rest.position) : (position ?? "unset"),
  };
}

const CHOICES = [
  "current_revision_option_20_6_0",
  "expected_revision_option_20_6_0",
  "current_revision_option",
  "expected_revision_option",
];

export function wrongExpectation(answer) {
  return Object.fromEntries(CHOICES.map((choice) => [choice, chosen(answer, choice)]));
}

/** One message of a read or a subscription; `foreign` if it is of somebody else's event. */
export function message(names, { content, ...answer }) {
  switch (content) {
    case "event":
      return event(names, answer.event);
    case "confirmation":
      return { conf: /^[0-9a-f-]{36}$/.test(answer.confirmation.subscription_id) ? "guid" : "odd" };
    case "checkpoint":
      return { ckpt: Positions.pair(answer.checkpoint) };
    case "stream_not_found":
      return { nf: names.stream(answer.stream_not_found.stream_identifier) };
    case "first_stream_position":
      return { first: answer.first_stream_position };
    case "last_stream_position":
      return { last: answer.last_stream_position };
    case "last_all_stream_position":
      return { lastall: Positions.pair(answer.last_all_stream_position) };
    case "caught_up":
    case "fell_behind":
      return { [content]: 1 };
    default:
      return { unknown: JSON.stringify(answer) };
  }
}

function event(names, { event: found, link, position, ...answer }) {
  const isOurs = (part) => part && names.isOurs(part.stream_identifier?.stream_name);
  if (!isOurs(found) && !isOurs(link)) return { foreign: 1 };
  const told = { e: recorded(names, found) };
  if (link) told.l = recorded(names, link);
  const at = { no_position: "none", commit_position: Positions.pending(answer.commit_position) };
  return { ...told, at: at[position] ?? "unset" };
}

function recorded(names, event) {
  if (!event) return null;
  const { type, "content-type": contentType, created, ...more } = event.metadata ?? {};
  const answer = {
    s: names.stream(event.stream_identifier),
    n: event.stream_revision ?? "0",
    id: names.symbol(event.id),
    t: type,
    ct: contentType,
    d: names.data(event.data),
    m: names.data(event.custom_metadata),
    p: [Positions.pending(event.commit_position ?? "0"), Positions.pending(event.prepare_position ?? "0")],
  };
  if (answer.m === "") delete answer.m;
  const writtenMs = /^\d+$/.test(created ?? "") ? Number(BigInt(created) / 10000n) : NaN;
  if (!(Math.abs(writtenMs - Date.now()) < DAY_MS)) answer.created = created ?? "missing";
  if (Object.keys(more).length > 0) answer.x = more;
  return answer;
}

export function batchItem(names, answer) {
  const item = { s: names.stream(answer.stream_identifier), expEcho: chosen(answer, "expected_stream_position") };
  if (answer.result === "success") return { ...item, ok: success(answer.success) };
  if (answer.result !== "error") return { ...item, odd: JSON.stringify(answer) };
  const { code, message: text, details } = answer.error;
  const said = { code: RPC_CODES[code ?? 0], text: names.message(text ?? ""), any: detail(names, details) };
  return { ...item, err: said };
}

const EXPECTATION_FIELDS = {
  1: "current",
  2: "current_no_stream",
  3: "expected",
  4: "expected_any",
  5: "expected_stream_exists",
  6: "expected_no_stream",
};

function detail(names, any) {
  if (!any) return null;
  const url = any.type_url ?? "";
  const fields = decoded(Buffer.from(any.value ?? []));
  const text = (value) => (Buffer.isBuffer(value) ? value.toString() : String(value));
  const read = {
    WrongExpectedVersion: ([field, value]) => EXPECTATION_FIELDS[field] + (Buffer.isBuffer(value) ? "" : `=${value}`),
    StreamDeleted: ([, value]) =>
      decoded(value)
        .map(([, name]) => names.symbolic(text(name)))
        .join(),
    BadRequest: ([, value]) => names.message(text(value)),
  };
  const other = ([field, value]) => `${field}=${Buffer.isBuffer(value) ? value.toString("base64") : value}`;
  return { url, d: fields.map(read[url.split(".").pop()] ?? other) };
}

/** The fields of a message whose description we do not have: numbers, and bytes with their length. */
function decoded(bytes) {
  const fields = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    if ((key & 7) === 0) {
      fields.push([key >> 3, varint().toString()]);
    } else {
      const length = Number(varint());
      fields.push([key >> 3, bytes.subarray(at, at + length)]);
      at += length;
    }
  }
  return fields;
}
