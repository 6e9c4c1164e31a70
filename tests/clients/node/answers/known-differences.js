// Where the embedded store answers otherwise than a real EventStoreDB, and why. The README of the embedded store has the
// same in a table. `path` is where in the answer; without it, the whole answer may differ. A line that no longer holds fails
// the test, unless it holds only `sometimes`.

const AHEAD = "the server reads ahead for groups without consumers; this store does not yet";
const NEGATIVE = "negative settings are refused";
const INVALID = "INVALID_ARGUMENT with a sentence instead of UNKNOWN";
const SECOND_OPTIONS = "a second options message ends the call: the server ignores every answer after it";
const NO_ROOM = "a consumer without room would wait in silence";
const ACKNOWLEDGED = "parked messages leave their stream once they are acknowledged, so that a crash loses none";
const CHECKPOINT_METADATA = "old checkpoints are hidden, and only administrators see them";
const CONFIGURATION = "the form of the stream with the settings of the groups is each store's own";
const NO_PAGE = "404 where the page is not there";
const NOT_MEASURED = "what the store does not have is not measured: a garbage collector, queues, the TCP protocol";
const NAME = "each program names itself";
const NO_TCP = "there is no TCP protocol";

const NEGATIVE_NUMBERS =
  /^create\.(max_retry_count|min_checkpoint_count|max_checkpoint_count|max_subscriber_count|live_buffer_size|read_batch_size|history_buffer_size|message_timeout_ms|checkpoint_after_ms)=-1$/;

export const KNOWN_DIFFERENCES = {
  groups: [
    { questions: /./, path: /^(\d+\.)?(info\.)?status$/, reason: AHEAD },
    { questions: /./, path: /^(\d+\.)?(read|live)_buffer_count$/, reason: AHEAD },
    { questions: /^info\.(no)?[eE]xtra$/, path: /^last_(checkpointed|known)_event_position$/, reason: AHEAD, sometimes: true },
    { questions: NEGATIVE_NUMBERS, reason: NEGATIVE },
    { questions: /^update\.(retry|maxsub)=-1$/, reason: NEGATIVE },
    { questions: /^update\.(retry=-1|batch=history|maxsub=-1)\.info$/, path: /^(max|min|named)_/, reason: NEGATIVE },
    { questions: /^create\.(from\.2\^63|all\.prepare>commit|all\.filter\.badregex|stream=\$all\.asStream)$/, reason: INVALID },
    { questions: /^read\.(firstNotOptions|buffer-1)$/, reason: INVALID },
    { questions: /^create\.name\.emptyStream$/, reason: "the server never answers" },
    { questions: /^read\.secondOptions$/, reason: SECOND_OPTIONS },
    { questions: /^read\.buffer0$/, reason: NO_ROOM },
    { questions: /^parked\.afterDelete\.meta$/, path: /^0\.event\.rev$/, reason: ACKNOWLEDGED },
    { questions: /^(checkpoint\.meta|all\.checkpointMeta)$/, reason: CHECKPOINT_METADATA },
    { questions: /^config\.(event|meta)$/, reason: CONFIGURATION },
  ],
  "group-numbers": [
    { questions: /^ack after second options: outstanding$/, reason: SECOND_OPTIONS },
    { questions: /^max_(subscriber|retry)_count -1$/, reason: NEGATIVE },
    { questions: /^buffer 0$/, reason: NO_ROOM },
    { questions: /^ack=false /, path: /^(left|meta)/, reason: ACKNOWLEDGED },
  ],
  pages: [
    { questions: /./, path: /^headers\.server$/, reason: NAME },
    { questions: /./, path: /(^version|\.esVersion)$/, reason: "the version of the protocol is that of the release" },
    { questions: /^h\d\.GET \/(info\/options)?$/, reason: NO_PAGE },
    { questions: /\/stats/, path: /^json\.(proc\.)?(contentionsRate|thrownExceptionsRate|gc|tcp|diskIo\.\w+Ops)$/, reason: NOT_MEASURED },
    { questions: /\/stats\?format=json$/, path: /^json\.es\.(queue|cache|writer|readIndex)$/, reason: NOT_MEASURED },
    { questions: /\/stats\/es\/queue$/, reason: NOT_MEASURED },
    { questions: /^stats\.grpc$/, path: /^(keys|proc|es|sys|sample)/, reason: NOT_MEASURED },
    { questions: /^features$/, path: /^methods$/, reason: "only the methods that are there are named" },
    { questions: /^gossip\.http\.values$/, path: /^members\.0\.internalTcpPort$/, reason: NO_TCP },
    { questions: /^h1\.HEAD \/health\/live$/, path: /^headers\.content-length$/, reason: "an answer without a body may say so" },
    { questions: /^h1\.GET \/metrics$/, path: /^headers\.transfer-encoding$/, reason: "the page is sent whole" },
    { questions: /^h1\.accept text\/plain \/gossip$/, path: /^text$/, reason: "text for people, with an id in it", sometimes: true },
  ],
  advertised: [{ questions: /^gossip\.http$/, path: /^members\.0\.internalTcpPort$/, reason: NO_TCP }],
};

// Two runs of the server itself differ in these, or they are no longer asked.
export const NOT_COMPARED = {
  groups: [
    "info.all.fresh",
    "create.all.start",
    "create.all.0",
    "redelivery.afterDisconnect",
    "checkpoint.after",
    "all.checkpoint",
    "info.noExtra",
    "strategy.DispatchToSingle",
  ],
  "group-numbers": ["message_timeout -1", "checkpoint counts 0", "ack=false stop 3", "ack=false stop 3 again"],
  pages: [
    "h1.GET /subscriptions",
    "h2.GET /subscriptions",
    "info.options",
    "stats.grpc.period0",
    "stats.grpc.period1",
    "stats.grpc.period10",
  ],
  advertised: [],
};
