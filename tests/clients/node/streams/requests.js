// The requests of a run's operations.

const KINDS = ["any", "no_stream", "stream_exists"];

/** Sets an expectation in a request; a number goes to `revision`, whatever it is called there. */
export function expecting(expectation, revision, options) {
  if (expectation === undefined || expectation === null || expectation === "unset") return options;
  if (KINDS.includes(expectation)) return { ...options, [expectation]: {} };
  return { ...options, [revision]: String(expectation) };
}

export function identifier(names, stream) {
  return stream === null || stream === undefined ? undefined : { stream_name: names.bytes(stream) };
}

/** Events as they are proposed. One may stand for many. */
export function proposed(names, events = []) {
  return events.flatMap(({ times, ...event }) => {
    if (!times) return [proposal(names, event)];
    return Array.from({ length: times }, (_, n) => proposal(names, { ...event, id: `${event.id}#${n}` }));
  });
}

function proposal(names, event) {
  return {
    id: names.id(event.id, event.uuid),
    metadata: event.md ?? { type: event.t ?? "T", "content-type": event.ct ?? "application/json" },
    custom_metadata: bytes(names, event.meta),
    data: bytes(names, event.data),
  };
}

function bytes(names, data) {
  if (data === undefined || data === null) return Buffer.alloc(0);
  if (typeof data === "string") return names.bytes(data);
  if (data.b64) return Buffer.from(data.b64, "base64");
  return data.json ? Buffer.from(`"${"x".repeat(Math.max(0, data.fill - 2))}"`) : Buffer.alloc(data.fill, "x");
}

export function batchPart(names, part) {
  const request = { proposed_messages: proposed(names, part.events) };
  if (part.corr !== undefined) request.correlation_id = names.id(part.corr, part.corrForm ?? "structured");
  if (part.final) request.is_final = true;
  if (!part.options) return request;
  const { stream, expect, deadline, deadlineAt } = part.options;
  request.options = expecting(expect, "stream_position", {});
  if (stream !== undefined && stream !== null) request.options.stream_identifier = identifier(names, stream);
  if (deadline !== undefined) {
    const seconds = Math.trunc(deadline);
    request.options.deadline = { seconds, nanos: Math.round((deadline - seconds) * 1e9) };
  }
  if (deadlineAt !== undefined) {
    const at = Date.now() + deadlineAt;
    request.options.deadline_21_10_0 = { seconds: Math.floor(at / 1000), nanos: (at % 1000) * 1e6 };
  }
  return request;
}

export function read(names, positions, operation, isSubscription) {
  if (operation.noOptions) return {};
  const options = {
    read_direction: operation.dir === "b" ? "Backwards" : "Forwards",
    resolve_links: Boolean(operation.links),
    ...source(names, positions, operation),
    ...filter(names, operation),
  };
  if (isSubscription) options.subscription = {};
  else if (operation.count !== undefined) options.count = String(operation.count);
  if (operation.uuid === "structured") options.uuid_option = { structured: {} };
  else if (operation.uuid === "unset") options.uuid_option = {};
  else if (operation.uuid !== "missing") options.uuid_option = { string: {} };
  if (operation.compat !== undefined && operation.compat !== null) {
    options.control_option = { compatibility: operation.compat };
  }
  return { options };
}

function source(names, positions, { all, stream, from }) {
  if (all !== undefined) {
    if (from === undefined) return { all: {} };
    if (from === "start" || from === "end") return { all: { [from]: {} } };
    const position = positions.asked(from);
    return { all: position ? { position } : { start: {} } };
  }
  if (stream === undefined) return {};
  const options = { stream_identifier: identifier(names, stream) };
  if (from === "start" || from === "end") options[from] = {};
  else if (from !== undefined) options.revision = String(from);
  return { stream: options };
}

function filter(names, operation) {
  const asked = operation.filter;
  if (!asked) return operation.noFilterOption ? {} : { no_filter: {} };
  const expression = {};
  if (asked.regex !== undefined) expression.regex = names.text(asked.regex);
  if (asked.prefix) expression.prefix = asked.prefix.map((prefix) => names.text(prefix));
  const options = {};
  if (asked.on === "stream") options.stream_identifier = expression;
  else if (asked.on === "type") options.event_type = expression;
  if (asked.max !== undefined) options.max = asked.max;
  else if (!asked.noWindow) options.count = {};
  if (asked.mult !== undefined) options.checkpointIntervalMultiplier = asked.mult;
  return { filter: options };
}
