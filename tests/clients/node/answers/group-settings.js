// Persistent subscriptions: which settings are accepted, and what becomes of them.

import { DEFAULTS, Groups } from "./groups.js";

const TOLD = [
  "start_from",
  "message_timeout_milliseconds",
  "max_retry_count",
  "check_point_after_milliseconds",
  "min_check_point_count",
  "max_check_point_count",
  "max_subscriber_count",
  "live_buffer_size",
  "buffer_size",
  "read_batch_size",
  "named_consumer_strategy",
  "extra_statistics",
  "resolve_link_tos",
  "status",
];
const NUMBERS = [
  "max_retry_count",
  "min_checkpoint_count",
  "max_checkpoint_count",
  "max_subscriber_count",
  "live_buffer_size",
  "read_batch_size",
  "history_buffer_size",
  "message_timeout_ms",
  "checkpoint_after_ms",
];
const STRATEGIES = ["RoundRobin", "DispatchToSingle", "Pinned", "PinnedByCorrelation", "roundrobin", "Nonsense", ""];
const NOTHING = Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, undefined]));
const BEYOND = "900000000000";
const HIGHEST = "18446744073709551615";

const at = (commit_position, prepare_position) => ({ position: { commit_position, prepare_position } });
const filtered = (filter) => ({ start: {}, no_filter: undefined, filter });

const SETTINGS = [
  ["allDefault", {}],
  ...NUMBERS.flatMap((number) => [0, -1].map((value) => [`${number}=${value}`, { [number]: value }])),
  ["timeout.ticks", { message_timeout_ms: undefined, message_timeout_ticks: 150000000 }],
  ["checkpoint.ticks", { checkpoint_after_ms: undefined, checkpoint_after_ticks: 35000000 }],
  ["timeout.unset", { message_timeout_ms: undefined }],
  ["checkpoint.unset", { checkpoint_after_ms: undefined }],
  ["min>max", { min_checkpoint_count: 20, max_checkpoint_count: 10 }],
  ["batch=history", { read_batch_size: 20, history_buffer_size: 20 }],
  ["batch>history", { read_batch_size: 50, history_buffer_size: 20 }],
  ["batch>live", { read_batch_size: 20, live_buffer_size: 10 }],
  ["empty settings", NOTHING],
  ...STRATEGIES.map((consumer_strategy) => [`strategy=${consumer_strategy || "(empty)"}`, { consumer_strategy }]),
];
const STARTS = [
  ["from.end", { end: {} }],
  ["from.5", { revision: 5 }],
  ["from.2^63", { revision: "9223372036854775808" }],
  ["from.max", { revision: HIGHEST }],
  ["from.none", {}],
];
const STARTS_OF_ALL = [
  ["all.start", { start: {} }],
  ["all.end", { end: {} }],
  ["all.beyond", at(BEYOND, BEYOND)],
  ["all.prepare>commit", at(0, 10)],
  ["all.0", at(0, 0)],
  ["all.max", at(HIGHEST, HIGHEST)],
  ["all.none", {}],
  ["all.filter.prefix", filtered({ stream_identifier: { prefix: ["x-"] }, max: 10, checkpointIntervalMultiplier: 1 })],
  ["all.filter.regex", filtered({ event_type: { regex: "^x" }, max: 10, checkpointIntervalMultiplier: 1 })],
  ["all.filter.badregex", filtered({ event_type: { regex: "(" }, max: 10, checkpointIntervalMultiplier: 1 })],
  ["all.filter.noexpr", filtered({ max: 10 })],
  ["all.filter.emptyprefix", filtered({ stream_identifier: { prefix: [] }, max: 10 })],
];
const CHANGES = [
  ["retry=-1", { max_retry_count: -1 }],
  ["batch=history", { read_batch_size: 20, history_buffer_size: 20 }],
  ["live=0", { live_buffer_size: 0 }],
  ["min>max", { min_checkpoint_count: 20, max_checkpoint_count: 10 }],
  ["maxsub=-1", { max_subscriber_count: -1 }],
  ["from7", {}, { revision: 7 }],
  ["unset strategy", { consumer_strategy: undefined }],
  [
    "all changed",
    {
      resolve_links: true,
      extra_statistics: true,
      max_retry_count: 3,
      message_timeout_ms: 1234,
      live_buffer_size: 77,
      read_batch_size: 7,
      history_buffer_size: 33,
      max_subscriber_count: 4,
      min_checkpoint_count: 2,
      max_checkpoint_count: 9,
      checkpoint_after_ms: 4321,
      consumer_strategy: "RoundRobin",
    },
    { end: {} },
  ],
];

/** Settings that a group is made with. */
export async function creating(probe) {
  const groups = new Groups(probe.client);
  const stream = `pi-${probe.run}`;
  const asked = [
    ...SETTINGS.map(([question, settings]) => [question, stream, settings, undefined]),
    ...STARTS.map(([question, from]) => [question, stream, {}, from]),
    ...STARTS_OF_ALL.map(([question, from]) => [question, "$all", {}, from]),
  ];
  for (const [index, [question, source, settings, from]] of asked.entries()) {
    const group = `g${index + 1}`;
    const created = await groups.create(source, group, settings, from);
    if (!created.ok) {
      probe.out(`create.${question}`, created);
      continue;
    }
    const info = await groups.info(source, group);
    const told = Object.fromEntries(TOLD.map((key) => [key, info[key]]));
    probe.out(`create.${question}`, { ok: {}, info: info.err ? info : told });
    await groups.delete(source, group);
  }
}

/** Names of streams and groups. */
export async function names(probe) {
  const groups = new Groups(probe.client);
  const stream = `pi-${probe.run}`;
  const odd = "g:: ü/x";
  probe.out("create.name.emptyStream", await groups.create("", "g"));
  probe.out("create.name.emptyGroup", await groups.create(stream, ""));
  await groups.delete(stream, "");
  const all = { stream_identifier: { stream_name: Buffer.from("$all") }, start: {} };
  const options = { stream: all, group_name: "gAll", settings: DEFAULTS };
  probe.out("create.stream=$all.asStream", await probe.client.call("groups", "create", { options }));
  probe.out("create.name.odd", await groups.create(stream, odd));
  probe.out("info.name.odd", (await groups.info(stream, odd)).group_name ?? "err");
  await groups.delete(stream, odd);
  probe.out("create.name.system", await groups.create(`$$${stream}`, "g"));
  await groups.delete(`$$${stream}`, "g");
}

/** Settings that a group is changed to, one after the other. */
export async function updating(probe) {
  const groups = new Groups(probe.client);
  const stream = `pi-${probe.run}`;
  await groups.create(stream, "u", { consumer_strategy: "Pinned" });
  for (const [question, settings, from] of CHANGES) {
    probe.out(`update.${question}`, await groups.update(stream, "u", settings, from));
    probe.out(`update.${question}.info`, await groups.info(stream, "u"));
  }
  await groups.delete(stream, "u");
}
