// One run of Emmett's PostgreSQL store: node emmett.mjs <url> <writers> <seconds> <bytes>; prints seconds and latencies.
import { randomUUID } from "node:crypto";
import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";

const [url, writers, seconds, bytes] = process.argv.slice(2);
const store = getPostgreSQLEventStore(url, { schema: { autoMigration: "CreateOrUpdate" } });
const description = "x".repeat(Math.max(0, Number(bytes) - 87));

const append = () =>
  store.appendToStream(`resources-${randomUUID()}`, [
    {
      type: "resources.ResourceCreated.v1",
      data: { attributes: {}, classification: "internal", description, name: "bench", tags: [] },
    },
  ]);

await append(); // makes the schema, and connections
const latencies = [];
const began = performance.now();
const end = began + Number(seconds) * 1000;
const write = async () => {
  let at = performance.now();
  do {
    await append();
    latencies.push((performance.now() - at) / 1000);
    at = performance.now();
  } while (at < end);
};
await Promise.all(Array.from({ length: Number(writers) }, write));
const elapsed = (performance.now() - began) / 1000;
await store.close();
process.stdout.write(JSON.stringify({ seconds: elapsed, latencies }));
