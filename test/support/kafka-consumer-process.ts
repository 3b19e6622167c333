import { KafkaBus } from "../../src/bus/kafka.js";
import { topics } from "../../src/domain/messages.js";
import { quietLog } from "./store.js";

// A consumer in a process of its own, which never ends its handler, so that a test can kill it there. Its settings are one JSON argument.

const { settings, group } = JSON.parse(process.argv[2] ?? "{}");
const bus = new KafkaBus({ ...settings, log: quietLog });
await bus.start();
await bus.subscribe(topics.events, group, (message) => {
  process.stdout.write(`${message.eventId}\n`);
  return new Promise(() => undefined);
});
process.stdout.write("joined\n");
