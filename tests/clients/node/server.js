// The event store under test: a process of its own, which can be stopped and started again on the same port.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const DEADLINE_MS = 30_000;

/** What `promise` brings, or a failure when it does not come in time. */
export async function soon(promise, what) {
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen in ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks until the answer is as expected; fails when it is not in time. */
export async function eventually(expected, ask) {
  const deadline = Date.now() + DEADLINE_MS;
  let answer = await ask();
  while (answer !== expected) {
    if (Date.now() > deadline) throw new Error(`${answer} did not become ${expected} in ${DEADLINE_MS} ms`);
    answer = await ask();
  }
}

export class Server {
  #folder;
  #process;
  #output = "";
  #parameters;
  address;

  /** Starts a store with these users; without any, it is open to everybody. */
  static async start(flags = [], users = undefined) {
    const server = new Server();
    server.#folder = await mkdtemp(join(tmpdir(), "emporium-clients-"));
    server.#parameters = [...flags, ...(await server.#usersIn(users))];
    server.address = `127.0.0.1:${await freePort()}`;
    await server.start();
    return server;
  }

  async #usersIn(users) {
    if (!users) return ["--open"];
    const file = join(this.#folder, "users.json");
    await writeFile(file, JSON.stringify(users));
    return ["--users", file];
  }

  get uri() {
    return `kurrentdb://${this.address}?tls=false`;
  }

  /** Starts the process and waits until it says on which address it listens. */
  async start() {
    const parameters = ["event-store", "serve", "--data-dir", this.#folder, "--listen", this.address];
    parameters.push(...this.#parameters);
    const started = spawn(process.env.EMPORIUM, parameters, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = started;
    this.#output = "";
    const listening = new Promise((resolve, reject) => {
      const read = (chunk) => {
        this.#output += chunk;
        if (this.#output.includes(this.address)) resolve();
      };
      started.stdout.setEncoding("utf8").on("data", read);
      started.stderr.setEncoding("utf8").on("data", read);
      started.once("error", reject);
      started.once("exit", (code) => reject(new Error(`the server ended with ${code}; it said:\n${this.#output}`)));
    });
    await soon(listening, "the start of the server");
  }

  /** Asks the process to stop and waits until it has. */
  async stop() {
    await this.#end("SIGTERM");
  }

  /** Ends the process as a crash would. */
  async kill() {
    await this.#end("SIGKILL");
  }

  /** Ends the process and removes its data. */
  async discard() {
    await this.kill();
    await rm(this.#folder, { recursive: true });
  }

  async #end(signal) {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, "exit");
    this.#process.kill(signal);
    await soon(ended, "the end of the server");
  }
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
