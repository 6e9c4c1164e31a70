// Where the embedded store keeps an answer of its own on purpose, and why. Nothing else may differ.
// The numbers are those of the project's notes on the server (section 1, and the decisions in section 0); the README of
// crates/embedded-event-store says the same for people.

const LARGEST = 2n ** 63n;
const NO_NUMBER = 2n ** 64n - 1n;
const LONGEST_NAME = 4096;

const isNumber = (value) => /^\d+$/.test(String(value ?? ""));
/** A number of which the server can make nothing. */
const isTooLarge = (value) => isNumber(value) && BigInt(value) >= LARGEST && BigInt(value) < NO_NUMBER;
const isAppend = ({ op }) => op === "append" || op === "batch item";
const isRead = ({ op }) => op === "read" || op === "subscription";
const isUnnumbered = ({ expect }) => expect === "any" || expect === "stream_exists";
const code = ({ err }) => err?.code;
const saysNothing = (answer) => code(answer) === "UNKNOWN";
const neverAnswers = (answer) => code(answer) === "DEADLINE_EXCEEDED" && answer.err.text === "Deadline exceeded";
const isBadRequest = ({ err }) => err?.text === "BadRequest";
const bytesOf = (name) => Array.from(name ?? "").reduce((sum, sign) => sum + Buffer.byteLength(sign), 0);
const base = (stream) => (stream ?? "").replace(/^(\$\$)+/, "");
const plain = (answer) => JSON.stringify(answer);

/** Both answers without what `leaves out`; a difference that is gone then is explained. */
const onlyIn = (leavesOut) => (part, run) => {
  const [theirs, ours] = [part.theirs, part.ours].map((answer) => leavesOut(structuredClone(answer)));
  return run.isAlike(theirs, ours);
};

/** grpc-js does not undo all that our server's library encodes in a message. */
const decoded = (text) => text.replace(/%([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));

export const DIFFERENCES = [
  {
    fact: "A7",
    reason: "metadata is read as strict JSON; what the server's parser makes of anything else is chance",
    explains: ({ operation }, run) =>
      run.looseMetadata.has(base(operation.stream)) || (Boolean(operation.links) && run.looseMetadata.size > 0),
    drifts: ({ theirs, ours }) => plain(theirs.ok) !== plain(ours.ok),
  },
  {
    fact: "A14",
    reason: "the server never answers an append whose ids stand in the stream the other way round",
    explains: ({ operation, theirs, ours }) => {
      if (operation.op !== "batch call") {
        return isAppend(operation) && isUnnumbered(operation) && neverAnswers(theirs) && Boolean(ours.wev);
      }
      const answered = new Set(theirs.counts.map(([symbol]) => symbol));
      const unanswered = ours.counts.map(([symbol]) => symbol).filter((symbol) => !answered.has(symbol));
      const isReversible = (symbol) =>
        operation.msgs.some(
          ({ corr, options }) => corr === symbol.replace("~", "") && options && isUnnumbered(options),
        );
      return unanswered.length > 0 && unanswered.every(isReversible);
    },
  },
  {
    fact: "A16",
    reason: "the server forgets that an id stands in this stream if it was used in another one first, and writes again",
    explains: ({ operation }, run) =>
      isAppend(operation) &&
      isUnnumbered(operation) &&
      operation.events.some(({ id }) => (run.firstUse.get(id) ?? operation.stream) !== operation.stream),
    drifts: () => true,
  },
  {
    fact: "A18",
    reason: "a repeat of what is on its way to the disk is answered when that is there, not refused after two seconds",
    explains: ({ operation, theirs, ours }) =>
      operation.op === "batch item" && isUnnumbered(operation) && theirs.err?.text === "Timeout" && Boolean(ours.ok),
  },
  {
    fact: "A19",
    reason: "an append of no events leaves no record, so its position is that of the newest event",
    explains: (part, run) =>
      isAppend(part.operation) &&
      (part.operation.events ?? []).length === 0 &&
      onlyIn((answer) => {
        delete answer.ok?.pos;
        return answer;
      })(part, run),
  },
  {
    fact: "A23",
    reason:
      "a closed stream takes its metadata along; the server's writer forgets that while it has the metadata in memory",
    explains: ({ operation, ours }) =>
      operation.stream?.startsWith("$$") &&
      (ours.err?.t?.exception === "stream-deleted" || ours.err?.text === "StreamDeleted") &&
      isAppend(operation),
    drifts: () => true,
  },
  {
    fact: "A23",
    reason: "metadata cannot be deleted; the server's writer thinks so until the next write, its readers never do",
    explains: ({ operation }, run) => isAppend(operation) && run.deletedMetadata.has(operation.stream),
    drifts: () => true,
  },
  {
    fact: "1.4",
    reason: "a read right after a deleted stream went on sees that; the server's may not yet",
    explains: ({ n, operation }, run) => operation.op === "read" && n - run.wentOnAt.get(base(operation.stream)) <= 1,
  },
  {
    fact: "B2",
    reason: "reading forwards from the end finds nothing, or that the stream is deleted; the server fails",
    explains: ({ operation, theirs }) =>
      operation.op === "read" &&
      operation.dir === "f" &&
      (operation.from === "end" || operation.from === String(NO_NUMBER)) &&
      saysNothing(theirs),
  },
  {
    fact: "B3",
    reason: "a read of no events finds none; the server fails or never answers, and so it does for a window of none",
    explains: ({ operation, theirs }) =>
      isRead(operation) &&
      (operation.count === "0" || operation.filter?.max === 0) &&
      (saysNothing(theirs) || neverAnswers(theirs)),
  },
  {
    fact: "B5",
    reason: "a number above 2^63 is one that the stream has not reached; the server fails",
    explains: ({ operation, theirs }) =>
      (isTooLarge(operation.expect) || isTooLarge(operation.from)) && (saysNothing(theirs) || isBadRequest(theirs)),
  },
  {
    fact: "B7",
    reason:
      "a filter for a stream, or one without a window, a missing filter option or form of ids, a checkpoint interval of 0, and an id of zeros do no harm",
    explains: ({ operation, theirs, ours }) => {
      const refused = code(theirs) === "INVALID_ARGUMENT" || saysNothing(theirs) || isBadRequest(theirs);
      const { filter, stream, noFilterOption, uuid } = operation;
      const isOdd = isRead(operation)
        ? Boolean(filter && (stream || filter.noWindow || !filter.mult)) || noFilterOption || uuid === "missing"
        : operation.events?.some(({ id }) => id === "0");
      return refused && isOdd && !isBadRequest(ours);
    },
    drifts: ({ ours }) => Boolean(ours.ok),
  },
  {
    fact: "B8",
    reason: "a stream's name is UTF-8; it and the name of a type have at most 4,096 bytes",
    explains: ({ operation, ours }) => {
      const { stream, events = [] } = operation;
      // The run's prefix comes to the name.
      const isTooLong = bytesOf(stream) > LONGEST_NAME - 40 || events.some(({ t }) => bytesOf(t) > LONGEST_NAME);
      return (
        (isTooLong || /[\ue000-\ue0ff]/.test(stream ?? "")) && (code(ours) === "INVALID_ARGUMENT" || isBadRequest(ours))
      );
    },
    drifts: () => true,
  },
  {
    fact: "B9",
    reason: "a subscription from beyond the log is refused: the position is of another store",
    explains: ({ operation, ours }) =>
      operation.op === "subscription" && Boolean(ours.err?.text.includes("beyond the end of the log")),
  },
  {
    fact: "B10",
    reason: "a position at which there is no event is a place in the log all the same",
    explains: ({ operation, theirs }) =>
      operation.all !== undefined && /InvalidPosition|ReadAllResult/.test(theirs.err?.text ?? ""),
  },
  {
    fact: "B12",
    reason: "the size of an append is that of its data, metadata and types; the server forgets the last two",
    explains: ({ operation, theirs, ours }) =>
      isAppend(operation) &&
      Boolean(theirs.ok) &&
      (ours.err?.t?.exception === "maximum-append-size-exceeded" || ours.err?.text === "MaximumAppendSizeExceeded"),
    drifts: () => true,
  },
  {
    fact: "B19",
    reason:
      "when the client has ended its half of a batch call, ours answers what is left and ends; the server's call stays open, and answers get lost",
    explains: ({ operation }) => operation.op === "batch call" && Boolean(operation.halfClose),
  },
  {
    fact: "B18",
    reason: "each append of a batch is answered once, when its last part has come",
    explains: ({ operation, theirs, ours }) => {
      if (operation.op !== "batch call") return false;
      const times = new Map(ours.counts);
      const isAnswered = ([symbol, more]) => times.has(symbol) && more >= times.get(symbol);
      return times.size === theirs.counts.length && theirs.counts.every(isAnswered);
    },
  },
  {
    fact: "B22",
    reason: "what is wrong with a part of a batch is said in a sentence; the server passes on what its runtime says",
    explains: (part, run) =>
      isBadRequest(part.theirs) &&
      onlyIn((answer) => {
        delete answer.err?.any?.d;
        return answer;
      })(part, run),
  },
  {
    fact: "B25",
    reason: "an error about a name that no header can hold has its code, and the name encoded; the server fails",
    explains: (part, run) =>
      part.theirs.err?.text === "Received HTTP status code 500" ||
      (/[^ -~]/.test(part.operation.stream ?? "") &&
        onlyIn((answer) => {
          delete answer.err?.t?.["stream-name"];
          return answer;
        })(part, run)),
  },
  {
    fact: "B6",
    reason: "a malformed request is refused with a sentence that says what is wrong; the server fails, or says nothing",
    explains: ({ theirs, ours }) =>
      code(ours) === "INVALID_ARGUMENT" && (saysNothing(theirs) || (theirs.msgs?.length === 0 && !theirs.err)),
  },
  {
    fact: "B26",
    reason: "the store lists the methods that it has",
    explains: ({ operation }) => operation.op === "features",
  },
  {
    fact: "C1",
    reason: "the text is the same; one library encodes more of it than the other decodes",
    explains: onlyIn((answer) => {
      if (answer.err) answer.err.text = decoded(answer.err.text);
      return answer;
    }),
  },
];
