// How a run names what differs from store to store: streams, ids and positions.

import { createHash } from "node:crypto";

const NIL = "00000000-0000-0000-0000-000000000000";
const END = "18446744073709551615";
const LONGEST = 120;

const sha = (value) => createHash("sha1").update(value).digest();
const digest = (value) => sha(value).toString("hex").slice(0, 8);

/** `{P}` in names and texts is the run's own prefix; U+E000 to U+E0FF are the bytes 00 to FF as they are. */
export class Names {
  #prefix;
  #symbols = new Map([[NIL, "0"]]);

  constructor(prefix) {
    this.#prefix = prefix;
  }

  text(symbolic) {
    return symbolic.replaceAll("{P}", this.#prefix);
  }

  bytes(symbolic) {
    const parts = Array.from(this.text(symbolic), (sign) => {
      const code = sign.codePointAt(0);
      return code >= 0xe000 && code <= 0xe0ff ? Buffer.from([code - 0xe000]) : Buffer.from(sign);
    });
    return Buffer.concat(parts);
  }

  symbolic(text) {
    return shortened(text.replaceAll(this.#prefix, "{P}"));
  }

  /** A message of the store's, with its ids named too. */
  message(text) {
    let found = text.replaceAll(this.#prefix, "{P}");
    for (const [id, symbol] of this.#symbols) found = found.replaceAll(id, `<${symbol}>`);
    return shortened(found.startsWith("Deadline exceeded") ? "Deadline exceeded" : found);
  }

  isOurs(name) {
    return Buffer.from(name ?? [])
      .toString()
      .includes(this.#prefix);
  }

  stream(identifier) {
    return identifier ? this.symbolic(Buffer.from(identifier.stream_name ?? []).toString()) : null;
  }

  data(bytes) {
    const raw = Buffer.from(bytes ?? []);
    const text = raw.toString();
    if (raw.length <= 160 && Buffer.from(text).equals(raw)) return text.replaceAll(this.#prefix, "{P}");
    const named = Buffer.from(raw.toString("latin1").replaceAll(this.#prefix, "{P}"), "latin1");
    return `len:${named.length}:sha:${digest(named)}`;
  }

  /** The id that a symbol stands for, in one of the forms that a request can have. */
  id(symbol, form) {
    if (form === "missing") return undefined;
    if (form === "none") return {};
    if (form?.startsWith("raw:")) return { string: form.slice(4) };
    const id = symbol === "0" ? NIL : this.#idOf(symbol);
    switch (form) {
      case "upper":
        return { string: id.toUpperCase() };
      case "braces":
        return { string: `{${id}}` };
      case "nodash":
        return { string: id.replaceAll("-", "") };
      case "structured":
        return { structured: halves(id) };
      default:
        return { string: id };
    }
  }

  /** The symbol of an id in an answer; `~` if it came as two numbers. */
  symbol(id) {
    if (!id) return null;
    if (id.string !== undefined) return this.#symbols.get(id.string) ?? "server";
    if (!id.structured) return "unset";
    const hex = (number) =>
      BigInt.asUintN(64, BigInt(number ?? 0))
        .toString(16)
        .padStart(16, "0");
    const { most_significant_bits: most, least_significant_bits: least } = id.structured;
    return `~${this.#symbols.get(dashed(hex(most) + hex(least))) ?? "server"}`;
  }

  #idOf(symbol) {
    const bytes = sha(`${this.#prefix}|${symbol}`);
    bytes[6] = (bytes[6] & 15) | 64;
    bytes[8] = (bytes[8] & 63) | 128;
    const id = dashed(bytes.toString("hex"));
    this.#symbols.set(id, symbol);
    return id;
  }
}

function dashed(hex) {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

function halves(id) {
  const hex = id.replaceAll("-", "");
  const signed = (half) => BigInt.asIntN(64, BigInt(`0x${half}`)).toString();
  return { most_significant_bits: signed(hex.slice(0, 16)), least_significant_bits: signed(hex.slice(16)) };
}

function shortened(text) {
  return text.length > LONGEST ? `${text.slice(0, 40)}…len:${text.length}:sha:${digest(text)}` : text;
}

/** Positions mean nothing across stores. They are named after the newest write of the run that was acknowledged there. */
export class Positions {
  #acknowledged = [];
  #byLabel = new Map();

  acknowledge(position, label) {
    const commit = position?.commit_position ?? "0";
    if (!position || commit === END) return;
    if (!this.#acknowledged.some((known) => known.commit === commit)) {
      this.#acknowledged.push({ commit, at: BigInt(commit), label });
    }
    this.#byLabel.set(label, { commit_position: commit, prepare_position: position.prepare_position ?? "0" });
  }

  /** Where an operation asks to start: the position of an earlier one, or one as it is. */
  asked({ raw, w }) {
    if (raw) return { commit_position: raw[0], prepare_position: raw[1] };
    const ofBatch = [...this.#byLabel].filter(([label]) => label.startsWith(`w${w}.`)).map(([, at]) => at);
    const newest = ofBatch.sort((a, b) => (BigInt(a.commit_position) < BigInt(b.commit_position) ? 1 : -1))[0];
    return this.#byLabel.get(`w${w}`) ?? newest;
  }

  /** A position in an answer, to be named when the run is over. */
  static pending(value) {
    if (value === undefined || value === null) return null;
    return value === END ? "max" : value === "0" ? "0" : { pendingPosition: value };
  }

  static pair(position) {
    if (!position) return null;
    const { commit_position: commit, prepare_position: prepare } = position;
    return [Positions.pending(commit ?? "0"), Positions.pending(prepare ?? "0")];
  }

  named(answer) {
    const known = [...this.#acknowledged].sort((a, b) => (a.at < b.at ? -1 : 1));
    const name = (value) => {
      const at = BigInt(value);
      const newest = known.findLast((write) => write.at <= at);
      if (!newest) return "before";
      return (newest.at === at ? "=" : ">") + newest.label;
    };
    const walk = (value) => {
      if (value === null || typeof value !== "object") return value;
      if (value.pendingPosition !== undefined) return name(value.pendingPosition);
      if (Array.isArray(value)) return value.map(walk);
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]));
    };
    return walk(answer);
  }
}
