// Drives an npm client: reads calls from standard input, one JSON object a line, and answers each with one line.
// The client finds its server as in an application, by QSTASH_URL and QSTASH_TOKEN.
//
// node driver.mjs FOLDER, where FOLDER holds the client's node_modules

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { Client } = await import(pathToFileURL(`${process.argv[2]}/node_modules/@upstash/qstash/index.mjs`));
const client = new Client();
const { messages } = client;

const calls = {
  publish: async ({ url, label }) =>
    (await client.publishJSON({ url, label, body: { hello: "world" }, headers: { "X-Own": "kept" } })).messageId,
  // Since 2.10 one method cancels by everything.
  cancel_ids: async ({ ids }) => ("cancel" in messages ? (await messages.cancel(ids)).cancelled : messages.deleteMany(ids)),
  cancel_label: async ({ label, count }) => {
    const cancelled =
      "cancel" in messages
        ? await messages.cancel({ filter: { label }, count })
        : // Older ones know no filters; an application uses the client's own request.
          await client.http.request({ method: "DELETE", path: ["v2", "messages"], query: { label, count } });
    return cancelled.cancelled;
  },
  cancel_all: async () => messages.deleteAll(),
  cancel_one: async ({ id }) => {
    await messages.delete(id);
    return null;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  let answer;
  try {
    answer = { value: await calls[call.call](call) };
  } catch (error) {
    answer = { error: { class: error.constructor.name, name: error.name, message: error.message, limit: error.limit } };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
